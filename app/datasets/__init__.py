"""Datasets: immutable snapshots of images, prompts, A_pos, A_neg and split."""

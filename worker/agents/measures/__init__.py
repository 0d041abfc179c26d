"""Measures of a picture that criteria can be decided by: plain functions on arrays, a module for each subject."""

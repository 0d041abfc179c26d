"""First of all what the libraries must know before they are loaded, as in the trainer."""

import worker.training

assert worker.training

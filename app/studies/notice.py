"""The notice that a participant of a study reads before the first pair, as a lead finds it in the form."""

DEFAULT_NOTICE = """\
Thank you for considering to take part. We compare images that computer programs made, by asking people which of two \
they find better. You will see two images at a time and say, for each of a few aspects such as composition or color, \
which of the two does it better. There are no wrong answers; be led by your own eyes alone.

What is kept: your answers, when you gave them, and a number that stands for you. Your name, your address \
and anything else about you are not asked for and not kept here. Whatever is reported or published names \
you by a random code at most.

Your answers are stored on the computer that serves this page, under the privacy law that applies where it \
stands, and are used for research and for improving the programs.

Taking part is your own decision. You may pause and come back through the same link, stop at any time \
without a reason, and withdraw through the same link, also afterwards, which deletes your answers.

By going on you say that you have read this and agree to take part."""

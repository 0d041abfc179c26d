"""The notice that a participant reads before the first image, as a lead finds it in the form."""

DEFAULT_NOTICE = """\
Thank you for considering to take part. We study how well a computer program describes what can be seen in \
images, by comparing it with what people see. You will look at images and say, for each of a list of \
attributes, whether it appears. Some may and some may not; be led by your own eyes alone.

What is kept: your answers, when you gave them, and a number that stands for you. Your name, your address \
and anything else about you are not asked for and not kept here. Whatever is reported or published names \
you by that number at most.

Your answers are stored on the computer that serves this page, under the privacy law that applies where it \
stands, and are used for research and for improving the program.

Taking part is your own decision. You may pause and come back through the same link, stop at any time \
without a reason, and withdraw through the same link, also afterwards, which deletes your answers.

By going on you say that you have read this and agree to take part."""

"""People who take part in an audit or a study, anonymously: links, consent, seats, how far they are, withdrawal."""

"""People who take part in an audit, anonymously: links, consent, seats, how far they are, withdrawal."""

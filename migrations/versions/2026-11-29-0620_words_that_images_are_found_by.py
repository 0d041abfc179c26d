"""Words that images are found by, folded, with an index."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BATCH = 2000


def upgrade() -> None:
    # A constant default needs no rewrite of the table.
    op.add_column('image', sa.Column('search', postgresql.TSVECTOR(), server_default=sa.text("''::tsvector"), nullable=False))
    fill(op.get_bind())
    op.create_index('ix_image_search', 'image', ['search'], unique=False, postgresql_using='gin')


def fill(connection: sa.Connection) -> None:
    """Give every image its words, a batch of keys at a time."""
    # The folding is the application's own: a copy of it here would soon find other things.
    from app.images.searching import search_words

    last = 0
    some = sa.text('SELECT id, name, prompt, details FROM image WHERE id > :last ORDER BY id LIMIT :many')
    write = sa.text('UPDATE image SET search = CAST(:words AS tsvector) WHERE id = :id')
    while rows := connection.execute(some, {'last': last, 'many': BATCH}).all():
        connection.execute(write, [{'id': row.id, 'words': search_words(row.name, row.prompt, row.details)} for row in rows])
        last = rows[-1].id


def downgrade() -> None:
    op.drop_index('ix_image_search', table_name='image', postgresql_using='gin')
    op.drop_column('image', 'search')

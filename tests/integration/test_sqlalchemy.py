"""SQLAlchemy with its stock dialect: tables made, filled, joined and reflected. The whole compliance suite is
`python -m tests.compatibility.sqlalchemy_suite`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from loadtest.tausql_fleet import Fleet
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_author"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(cache=65536), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "sa_book"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(cache=65536), primary_key=True)
    title: Mapped[str] = mapped_column(comment="as printed")
    price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2), sa.CheckConstraint("price >= 0", name="sa_not_negative"))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("sa_author.id", ondelete="CASCADE", name="sa_book_author"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture
def engine(fleet: Fleet) -> Iterator[sa.Engine]:
    """Tables made in autocommit, one statement a transaction, as Aurora DSQL wants it; gone in the end."""
    url = f"postgresql+psycopg://admin:{quote(fleet.password)}@{fleet.host}:{fleet.pg_port}/postgres?sslmode=require"
    made = sa.create_engine(url, use_native_hstore=False)
    alone = made.execution_options(isolation_level="AUTOCOMMIT")
    Base.metadata.create_all(alone)
    yield made
    Base.metadata.drop_all(alone)
    made.dispose()


def test_objects_are_stored_joined_and_deleted(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add_all(
            Author(name=f"author {n}", books=[Book(title=f"{n}.{m}", price=Decimal(m) / 4) for m in range(n)])
            for n in range(4)
        )
        session.commit()
        counted = session.execute(
            sa.select(Author.name, sa.func.count(Book.id), sa.func.sum(Book.price))
            .outerjoin(Author.books)
            .group_by(Author.name)
            .order_by(Author.name)
        ).all()
        assert [tuple(row) for row in counted] == [
            ("author 0", 0, None),
            ("author 1", 1, Decimal("0.00")),
            ("author 2", 2, Decimal("0.25")),
            ("author 3", 3, Decimal("0.75")),
        ]
        last = session.scalars(sa.select(Author).where(Author.name == "author 3")).one()
        assert sorted(book.title for book in last.books) == ["3.0", "3.1", "3.2"]
        session.execute(sa.delete(Author).where(Author.name == "author 3"))
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 3


def test_tables_are_reflected_as_they_were_made(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert {"sa_author", "sa_book"} <= set(inspector.get_table_names())
    columns = {column["name"]: column for column in inspector.get_columns("sa_book")}
    assert list(columns) == ["id", "title", "price", "author_id"]
    assert str(columns["price"]["type"]) == "NUMERIC(8, 2)"
    assert columns["id"]["identity"]["cache"] == 65536
    assert inspector.get_pk_constraint("sa_book")["constrained_columns"] == ["id"]
    (key,) = inspector.get_foreign_keys("sa_book")
    assert (key["name"], key["referred_table"]) == ("sa_book_author", "sa_author")
    assert key["options"] == {"ondelete": "CASCADE"}
    assert [one["column_names"] for one in inspector.get_unique_constraints("sa_author")] == [["name"]]
    assert [one["name"] for one in inspector.get_check_constraints("sa_book")] == ["sa_not_negative"]
    reflected = sa.Table("sa_book", sa.MetaData(), autoload_with=engine)
    assert [column.name for column in reflected.primary_key] == ["id"]

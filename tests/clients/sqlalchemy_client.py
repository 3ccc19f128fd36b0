"""SQLAlchemy: the ORM, and what reflection reads of the catalogs."""
import decimal

from tap import PORT, attempt, equal


def same(got, want, what=""):
    del what
    equal(got, want)


@attempt("ORM models, relations, arrays, jsonb, ON CONFLICT")
def _():
    port = PORT
    from sqlalchemy import (Column, ForeignKey, Integer, Numeric, String, create_engine, func, select as choose)
    from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
    from sqlalchemy.orm import Session, declarative_base, relationship
    base = declarative_base()

    class Author(base):
        __tablename__ = "c_author"
        id = Column(Integer, primary_key=True)
        name = Column(String(50), unique=True, nullable=False)
        tags = Column(ARRAY(String))
        data = Column(JSONB)
        books = relationship("Book", back_populates="author", cascade="all, delete-orphan")

    class Book(base):
        __tablename__ = "c_book"
        id = Column(Integer, primary_key=True)
        title = Column(String, index=True)
        price = Column(Numeric(10, 2), server_default="0")
        author_id = Column(ForeignKey("c_author.id", ondelete="CASCADE"), nullable=False)
        author = relationship("Author", back_populates="books")

    engine = create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres")
    base.metadata.drop_all(engine)
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="A", tags=["x", "y"], data={"k": 1},
                           books=[Book(title="one", price=decimal.Decimal("9.50")), Book(title="two")]))
        session.add(Author(name="B", data={"k": 2}))
        session.commit()
        author = session.execute(choose(Author).where(Author.data["k"].astext == "1")).scalar_one()
        same(([b.title for b in author.books], author.tags), (["one", "two"], ["x", "y"]))
        rows = session.execute(choose(Author.name, func.count(Book.id)).outerjoin(Book).group_by(Author.name)
                               .order_by(Author.name)).all()
        same([tuple(r) for r in rows], [("A", 2), ("B", 0)])
        session.execute(insert(Author).values(name="A", data={}).on_conflict_do_update(
            index_elements=["name"], set_={"data": {"k": 3}}))
        session.commit()
        same(session.execute(choose(Author.data).where(Author.name == "A")).scalar_one(), {"k": 3})
        session.delete(session.execute(choose(Author).where(Author.name == "A")).scalar_one())
        session.commit()
        same(session.execute(choose(func.count()).select_from(Book)).scalar_one(), 0)
    base.metadata.drop_all(engine)


@attempt("reflection")
def _():
    port = PORT
    from sqlalchemy import create_engine, inspect, text
    engine = create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres")
    with engine.begin() as db:
        db.execute(text("drop table if exists c_child, c_parent"))
        db.execute(text("create table c_parent (id serial primary key, code varchar(10) unique not null)"))
        db.execute(text("create table c_child (a int, b int, p int references c_parent(id) on delete cascade,"
                        " n numeric(8,2) default 1.5, primary key (a, b), check (n > 0))"))
        db.execute(text("create index c_child_n on c_child (n)"))
        db.execute(text("comment on table c_child is 'kids'"))
    about = inspect(engine)
    same([c["name"] for c in about.get_columns("c_child")], ["a", "b", "p", "n"])
    same(str(about.get_columns("c_child")[3]["type"]), "NUMERIC(8, 2)")
    same(about.get_pk_constraint("c_child")["constrained_columns"], ["a", "b"])
    keys = about.get_foreign_keys("c_child")
    same([(k["referred_table"], k["constrained_columns"], k["options"]) for k in keys],
         [("c_parent", ["p"], {"ondelete": "CASCADE"})])
    same([i["name"] for i in about.get_indexes("c_child")], ["c_child_n"])
    same([u["column_names"] for u in about.get_unique_constraints("c_parent")], [["code"]])
    same(len(about.get_check_constraints("c_child")), 1)
    same(about.get_table_comment("c_child")["text"], "kids")
    same("c_child" in about.get_table_names(), True)
    with engine.begin() as db:
        db.execute(text("drop table c_child, c_parent"))


@attempt("a second database")
def _():
    from sqlalchemy import create_engine, inspect, text
    engine = create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{PORT}/postgres")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE c_second"))
    second = create_engine(engine.url.set(database="c_second"))
    equal(inspect(second).get_table_names(), [])
    with second.begin() as connection:
        connection.execute(text("CREATE TABLE only_there (id serial PRIMARY KEY, v text)"))
        connection.execute(text("INSERT INTO only_there (v) VALUES ('x')"))
    equal(inspect(second).get_table_names(), ["only_there"])
    equal("only_there" in inspect(engine).get_table_names(), False)
    second.dispose()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE c_second"))

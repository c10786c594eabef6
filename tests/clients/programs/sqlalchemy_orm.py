"""aurora-dsql-sqlalchemy: create_all, insert, reflect, a relationship, drop_all."""

from __future__ import annotations

import os
import sys
import uuid

driver, host = sys.argv[1], os.environ["CLUSTER_ENDPOINT"]
for name in [name for name in os.environ if name.startswith("PG") and name != "PGSSLROOTCERT"]:
    del os.environ[name]

from aurora_dsql_sqlalchemy import create_dsql_engine  # noqa: E402
from sqlalchemy import UUID, ForeignKey, Index, MetaData, String, inspect, select, text  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship  # noqa: E402


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "sa_owner"
    id: Mapped[uuid.UUID] = mapped_column(UUID, primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(String(30))
    pets: Mapped[list[Pet]] = relationship(back_populates="owner")


class Pet(Base):
    __tablename__ = "sa_pet"
    id: Mapped[uuid.UUID] = mapped_column(UUID, primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(String(30))
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sa_owner.id"))
    owner: Mapped[Owner] = relationship(back_populates="pets")
    __table_args__ = (Index("sa_pet_name", "name"),)


engine = create_dsql_engine(
    host=host, user="admin", driver=driver, sslmode="verify-full", sslrootcert=os.environ["PGSSLROOTCERT"]
)
Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add(Owner(name="Ann", pets=[Pet(name="Rex"), Pet(name="Tom")]))
    session.commit()
    found = session.scalars(select(Pet).join(Owner).where(Owner.name == "Ann").order_by(Pet.name)).all()
    assert [pet.name for pet in found] == ["Rex", "Tom"]
    assert found[0].owner.name == "Ann"
reflected = MetaData()
reflected.reflect(engine, only=["sa_owner", "sa_pet"])
assert {key.target_fullname for key in reflected.tables["sa_pet"].foreign_keys} == {"sa_owner.id"}
assert "sa_pet_name" in {index["name"] for index in inspect(engine).get_indexes("sa_pet")}
with engine.connect() as connection:
    assert connection.execute(text("SELECT 1")).scalar() == 1
Base.metadata.drop_all(engine)
print(f"sqlalchemy with {driver}: fine")

"""IAM's operations, as far as databases need them: users, roles, their keys and inline policies.

A table, because they differ in so little: whom an operation is about, what it changes, and what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from tausql.access.arns import principal_name, role_arn, user_arn
from tausql.control.api.exchange import Exchange
from tausql.control.api.form import Form
from tausql.control.clusters.listing import page
from tausql.control.identities import people, roles
from tausql.control.identities.records import Role, User
from tausql.control.system.state import Decision, Image

PAGE_MAX = 1_000
Answer = dict[str, Any]
Read = Callable[[Exchange, Form, Image], Answer]
Decide = Callable[[Exchange, Form, Image], Decision[Answer]]
Name = Callable[[Exchange, Form], str]


class Operation(NamedTuple):
    """resource: ARN that the permission is about. One of `read` and `decide`."""

    resource: Name
    read: Read | None = None
    decide: Decide | None = None


def user_name(exchange: Exchange, form: Form) -> str:
    """Whom it is about: who asks, unless another is named."""
    own = principal_name(exchange.key.principal) if ":user/" in exchange.key.principal else None
    return form.text("UserName", own)


def _user(exchange: Exchange, form: Form) -> str:
    name = user_name(exchange, form)
    known = exchange.tenancy.image.of(User).get(name)
    path = known.path if known is not None else form.text("Path", "/")
    return user_arn(exchange.account, name, path)


def _role(exchange: Exchange, form: Form) -> str:
    name = form.text("RoleName")
    known = exchange.tenancy.image.of(Role).get(name)
    path = known.path if known is not None else form.text("Path", "/")
    return role_arn(exchange.account, name, path)


def _anything(exchange: Exchange, form: Form) -> str:
    return "*"


# users


def _create_user(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    name, path = form.text("UserName"), form.text("Path", "/")
    return people.create(image, name, path, form.tags(), exchange.account, exchange.tenancy.now())


def _get_user(exchange: Exchange, form: Form, image: Image) -> Answer:
    return {"User": people.told(people.find(image, user_name(exchange, form)), exchange.account)}


def _list_users(exchange: Exchange, form: Form, image: Image) -> Answer:
    return _listed("Users", form, image.of(User), lambda user: people.told(user, exchange.account))


def _delete_user(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    return people.delete(image, form.text("UserName"))


def _create_key(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    tenancy = exchange.tenancy
    return people.create_key(image, tenancy.keyring, user_name(exchange, form), tenancy.now())


def _list_keys(exchange: Exchange, form: Form, image: Image) -> Answer:
    name = people.find(image, user_name(exchange, form)).user
    keys = [people.told_key(key) for key in people.keys_of(image, name)]
    return {"UserName": name, "AccessKeyMetadata": keys, "IsTruncated": False}


def _update_key(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    return people.update_key(image, user_name(exchange, form), form.text("AccessKeyId"), form.text("Status"))


def _delete_key(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    return people.delete_key(image, user_name(exchange, form), form.text("AccessKeyId"))


# roles


def _create_role(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    new = roles.NewRole(
        form.text("RoleName"),
        form.text("Path", "/"),
        form.text("AssumeRolePolicyDocument"),
        form.text("Description", "")[:1000],
        form.number("MaxSessionDuration", 3_600),
        form.tags(),
    )
    return roles.create(image, new, exchange.account, exchange.tenancy.now())


def _get_role(exchange: Exchange, form: Form, image: Image) -> Answer:
    return {"Role": roles.told(roles.find(image, form.text("RoleName")), exchange.account)}


def _list_roles(exchange: Exchange, form: Form, image: Image) -> Answer:
    return _listed("Roles", form, image.of(Role), lambda role: roles.told(role, exchange.account))


def _delete_role(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    return roles.delete(image, form.text("RoleName"))


def _retrust(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
    return roles.retrust(roles.find(image, form.text("RoleName")), form.text("PolicyDocument"))


# inline policies of both


def _user_of(exchange: Exchange, form: Form, image: Image) -> User | Role:
    return people.find(image, form.text("UserName"))


def _role_of(exchange: Exchange, form: Form, image: Image) -> User | Role:
    return roles.find(image, form.text("RoleName"))


def _policies(whose: str, resource: Name, find: Callable[[Exchange, Form, Image], User | Role]) -> dict[str, Operation]:
    def put(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
        return people.put_policy(find(exchange, form, image), form.text("PolicyName"), form.text("PolicyDocument"))

    def get(exchange: Exchange, form: Form, image: Image) -> Answer:
        name = form.text("PolicyName")
        document = people.find_policy(find(exchange, form, image), name)
        owner = form.text(f"{whose}Name")
        return {f"{whose}Name": owner, "PolicyName": name, "PolicyDocument": quote(document, safe="")}

    def listed(exchange: Exchange, form: Form, image: Image) -> Answer:
        return {"PolicyNames": sorted(find(exchange, form, image).policies), "IsTruncated": False}

    def delete(exchange: Exchange, form: Form, image: Image) -> Decision[Answer]:
        return people.delete_policy(find(exchange, form, image), form.text("PolicyName"))

    return {
        f"Put{whose}Policy": Operation(resource, decide=put),
        f"Get{whose}Policy": Operation(resource, read=get),
        f"List{whose}Policies": Operation(resource, read=listed),
        f"Delete{whose}Policy": Operation(resource, decide=delete),
    }


def operations() -> dict[str, Operation]:
    return {
        "CreateUser": Operation(_user, decide=_create_user),
        "GetUser": Operation(_user, read=_get_user),
        "ListUsers": Operation(_anything, read=_list_users),
        "DeleteUser": Operation(_user, decide=_delete_user),
        "CreateAccessKey": Operation(_user, decide=_create_key),
        "ListAccessKeys": Operation(_user, read=_list_keys),
        "UpdateAccessKey": Operation(_user, decide=_update_key),
        "DeleteAccessKey": Operation(_user, decide=_delete_key),
        "CreateRole": Operation(_role, decide=_create_role),
        "GetRole": Operation(_role, read=_get_role),
        "ListRoles": Operation(_anything, read=_list_roles),
        "DeleteRole": Operation(_role, decide=_delete_role),
        "UpdateAssumeRolePolicy": Operation(_role, decide=_retrust),
        **_policies("User", _user, _user_of),
        **_policies("Role", _role, _role_of),
    }


def _listed(name: str, form: Form, things: Mapping[str, Any], told: Callable[[Any], Answer]) -> Answer:
    count = max(1, min(form.number("MaxItems", 100), PAGE_MAX))
    found, more = page(things.items(), lambda item: (item[0],), form.text("Marker", ""), count)
    answer: Answer = {name: [told(thing) for _, thing in found], "IsTruncated": more is not None}
    return {**answer, "Marker": more} if more else answer

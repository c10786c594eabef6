"""STS's operations: temporary credentials, and who one is."""

from __future__ import annotations

from typing import Any

from tausql.access.arns import principal_name, role_arn, session_arn
from tausql.access.policies import Request
from tausql.access.request_context import context_of
from tausql.control.api.exchange import Exchange
from tausql.control.api.form import Form
from tausql.control.faults import Fault, denied
from tausql.control.identities import faults, people, roles, trust
from tausql.control.identities.records import Role, User
from tausql.control.identities.web_identity import Identity, WebIdentities
from tausql.protocol.clusters import KeyRecord

Answer = dict[str, Any]


class Sts:
    """`answer` by operation; None for one it does not know."""

    def __init__(self, identities: WebIdentities) -> None:
        self._identities = identities

    async def answer(self, exchange: Exchange, form: Form) -> Answer | None:
        match exchange.operation:
            case "GetCallerIdentity":
                return _caller(exchange)
            case "GetSessionToken":
                return await _session_token(exchange, form)
            case "AssumeRole":
                return await _assume(exchange, form)
            case "AssumeRoleWithWebIdentity":
                return await self._assume_by_web_identity(exchange, form)
        return None

    async def _assume_by_web_identity(self, exchange: Exchange, form: Form) -> Answer:
        exchange.parameters = {"roleArn": form.text("RoleArn"), "roleSessionName": form.text("RoleSessionName")}
        identity = await self._identities.identify(form.text("WebIdentityToken"))
        await exchange.tenancy.state.look()
        role = _role(exchange, form, "sts:AssumeRoleWithWebIdentity")
        provider = f"arn:aws:iam::{exchange.account}:oidc-provider/{identity.issuer}"
        context = {
            f"{identity.issuer}:sub".lower(): (identity.subject,),
            f"{identity.issuer}:aud".lower(): identity.audiences,
        }
        arn = role_arn(exchange.account, role.role, role.path)
        wish = Request("sts:AssumeRoleWithWebIdentity", arn, f"Federated:{provider}", "", context)
        if not trust.trusted(role.trust, wish):
            raise denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
        name = form.text("RoleSessionName")
        exchange.key = KeyRecord("", "", session_arn(exchange.account, role.role, name), arn)  # for the log
        told = {"SubjectFromWebIdentityToken": identity.subject, "Provider": provider, "Audience": _first(identity)}
        return {**await _assumed(exchange, form, role), **told}


def _caller(exchange: Exchange) -> Answer:
    """Nobody needs a permission to ask who he is."""
    principal = exchange.key.principal
    image = exchange.tenancy.image
    name = principal_name(principal)
    if ":assumed-role/" in principal:
        role = image.of(Role).get(name)
        identifier = f"{role.role_id if role else name}:{principal.rpartition('/')[2]}"
    else:
        user = image.of(User).get(name)
        identifier = user.user_id if user else name
    return {"UserId": identifier, "Account": exchange.account, "Arn": principal}


async def _session_token(exchange: Exchange, form: Form) -> Answer:
    key, tenancy = exchange.key, exchange.tenancy
    if key.session_token or ":user/" not in key.principal:
        raise denied("Cannot call GetSessionToken with session credentials")
    seconds = form.number("DurationSeconds", roles.USER_SECONDS)
    return await tenancy.change(
        lambda image: roles.of_user(
            image,
            tenancy.keyring,
            people.find(image, principal_name(key.principal)),
            key.principal,
            seconds,
            tenancy.now(),
        )
    )


async def _assume(exchange: Exchange, form: Form) -> Answer:
    """The role has to trust who asks; and unless it names him, his own policies have to allow it."""
    exchange.parameters = {"roleArn": form.text("RoleArn"), "roleSessionName": form.text("RoleSessionName")}
    await exchange.tenancy.state.look()
    role = _role(exchange, form, "sts:AssumeRole")
    key = exchange.key
    arn = role_arn(exchange.account, role.role, role.path)
    exchange.resource = arn
    context = context_of(
        key,
        now=exchange.tenancy.now(),
        client=exchange.client,
        secure=exchange.secure,
        region=exchange.region,
        resource=arn,
        resource_tags=role.tags,
    )
    context["sts:rolesessionname"] = (form.text("RoleSessionName"),)
    wish = Request("sts:AssumeRole", arn, key.principal, key.mapped, context)
    decision = exchange.policies.decide(wish, key.policies, key.boundary, trust.effective(role.trust))
    if not (decision.allowed and trust.trusted(role.trust, wish)):
        raise _not_allowed(exchange, "sts:AssumeRole", arn)
    return await _assumed(exchange, form, role)


async def _assumed(exchange: Exchange, form: Form, role: Role) -> Answer:
    tenancy = exchange.tenancy
    wanted = roles.Wanted(
        form.number("DurationSeconds", min(3_600, role.session_seconds_max)),
        form.text("RoleSessionName"),
        form.text("Policy", ""),
    )
    return await tenancy.change(
        lambda image: roles.assume(
            image, tenancy.keyring, roles.find(image, role.role), wanted, exchange.account, tenancy.now()
        )
    )


def _role(exchange: Exchange, form: Form, action: str) -> Role:
    """Whether a role exists is not told to those who may not act for it."""
    arn = form.text("RoleArn")
    role = roles.by_arn(exchange.tenancy.image, exchange.account, arn)
    if role is None:
        if not arn.startswith("arn:"):
            raise faults.wrong_input(f"{arn[:200]} is invalid")
        raise _not_allowed(exchange, action, arn)
    return role


def _not_allowed(exchange: Exchange, action: str, arn: str) -> Fault:
    if not exchange.key.principal:
        return denied(f"Not authorized to perform {action}")
    return denied(f"User: {exchange.key.principal} is not authorized to perform: {action} on resource: {arn[:2048]}")


def _first(identity: Identity) -> str:
    return identity.audiences[0] if identity.audiences else ""

"""Policies: what they allow, what they deny, which documents are none."""

from __future__ import annotations

import contextlib
import json

import pytest
from access_keys import ACCOUNT, ADMIN, ARN, EVERYTHING, NOW, PERMANENT, REGION, ROLE, SESSION, TEMPORARY
from hypothesis import given
from hypothesis import strategies as st

from tausql.access.actions import ACTIONS, action_named
from tausql.access.arns import account_of, is_principal, principal_name, session_arn
from tausql.access.conditions import conditions_of
from tausql.access.decisions import Policies
from tausql.access.patterns import matches, resolved, wild
from tausql.access.policies import BYTES_MAX, PolicyRefused, Request, parse
from tausql.access.public_policies import check_not_public
from tausql.access.request_context import address_of, context_of

CONNECT = "dsql:DbConnect"
STREAM = f"{ARN}/stream/abcdefghijklmnopqrstuvwxyz"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action=CONNECT, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action=CONNECT, resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def request(action=CONNECT, resource=ARN, principal=ADMIN, mapped="", context=None):
    return Request(action, resource, principal, mapped or principal, context or {})


def allowed(identity=(), resource_policy="", boundary="", asked=None):
    return Policies().decide(asked or request(), tuple(identity), boundary, resource_policy).allowed


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], False),
        ([allow()], True),
        ([allow("*")], True),
        ([allow("dsql:*")], True),
        ([allow("DSQL:dbconnect")], True),
        ([allow("dsql:DbConn?ct")], True),
        ([allow("dsql:DbConnectAdmin")], False),
        ([allow("s3:*")], False),
        ([allow(["s3:GetObject", CONNECT])], True),
        ([allow(resource=ARN)], True),
        ([allow(resource=f"arn:aws:dsql:*:{ACCOUNT}:cluster/*")], True),
        ([allow(resource=f"arn:aws:dsql:{REGION}:*:cluster/abc*xyz")], True),
        ([allow(resource="arn:aws:dsql:*:cluster/*")], False),  # a star does not reach over a colon
        ([allow(resource="arn:aws:dsql:eu-*:*:cluster/*")], False),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "dsql:DbConnect*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "Action": "*", "NotResource": ARN}], False),
        ([{"Effect": "Allow", "Action": "*", "NotResource": STREAM}], True),
        ([allow(), deny()], False),
        ([deny(), allow("*")], False),
        ([allow(), deny("dsql:DbConnectAdmin")], True),
        ([allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})], True),
    ],
)
def test_statements(statements, expected):
    texts = [document(*statements)] if statements else []
    assert allowed(texts) is expected
    if len(statements) == 1:
        assert allowed([json.dumps({"Statement": statements[0]})]) is expected


CONTEXT = {
    "aws:username": ("anna",),
    "aws:sourceip": ("192.0.2.7",),
    "aws:epochtime": ("1795471200",),
    "aws:currenttime": ("2026-11-23T22:00:00Z",),
    "aws:tagkeys": ("team", "stage"),
    "aws:principalarn": (ROLE,),
    "aws:securetransport": ("true",),
    "aws:requesttag/team": ("Orders",),
}


@pytest.mark.parametrize(
    ("operator", "key", "values", "expected"),
    [
        ("StringEquals", "aws:username", "anna", True),
        ("StringEquals", "AWS:UserName", ["bert", "anna"], True),
        ("StringEquals", "aws:username", "a*", False),
        ("StringEquals", "aws:missing", "anna", False),
        ("StringEqualsIfExists", "aws:missing", "anna", True),
        ("StringEqualsIfExists", "aws:username", "bert", False),
        ("StringEqualsIgnoreCase", "aws:RequestTag/team", "orders", True),
        ("StringNotEquals", "aws:username", ["bert", "anna"], False),
        ("StringNotEquals", "aws:username", ["bert", "carl"], True),
        ("StringNotEquals", "aws:missing", "anna", True),
        ("StringNotEqualsIgnoreCase", "aws:username", "ANNA", False),
        ("StringLike", "aws:username", "a*a", True),
        ("StringLike", "aws:username", "??na", True),
        ("StringLike", "aws:username", "b*", False),
        ("StringNotLike", "aws:username", "a*", False),
        ("StringEquals", "aws:username", "${aws:username}", True),
        ("StringEquals", "aws:username", "${aws:missing}", False),
        ("StringEquals", "aws:username", "${aws:missing, 'anna'}", True),
        ("NumericEquals", "aws:epochtime", 1795471200, True),
        ("NumericNotEquals", "aws:epochtime", "1795471200", False),
        ("NumericLessThan", "aws:epochtime", "1795471200", False),
        ("NumericLessThanEquals", "aws:epochtime", "1795471200", True),
        ("NumericGreaterThan", "aws:epochtime", "1795471199.5", True),
        ("NumericGreaterThanEquals", "aws:epochtime", "1795471201", False),
        ("NumericEquals", "aws:username", "1", False),
        ("DateEquals", "aws:CurrentTime", "2026-11-23T23:00:00+01:00", True),
        ("DateNotEquals", "aws:CurrentTime", "2026-11-23T22:00:00Z", False),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11-23", True),
        ("DateLessThan", "aws:CurrentTime", 1795471200, False),
        ("DateLessThanEquals", "aws:EpochTime", "2026-11-23T22:00:00Z", True),
        ("DateGreaterThanEquals", "aws:CurrentTime", "2027-01-01T00:00:00Z", False),
        ("Bool", "aws:SecureTransport", "true", True),
        ("Bool", "aws:SecureTransport", False, False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "true", True),
        ("BinaryEquals", "aws:username", "anna", True),
        ("IpAddress", "aws:SourceIp", ["198.51.100.0/24", "192.0.2.0/24"], True),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("NotIpAddress", "aws:SourceIp", "192.0.2.7", False),
        ("NotIpAddress", "aws:SourceIp", "192.0.2.8", True),
        ("IpAddress", "aws:username", "0.0.0.0/0", False),
        ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*", True),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/service/app", True),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", True),
        ("ArnNotEquals", "aws:PrincipalArn", ROLE, False),
        ("Null", "aws:username", "false", True),
        ("Null", "aws:username", "true", False),
        ("Null", "aws:missing", "true", True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", "team", True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", "owner", False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", "team", True),
        ("ForAnyValue:StringEquals", "aws:missing", "team", False),
        ("ForAnyValue:StringNotEquals", "aws:missing", "team", False),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "stage", "owner"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["owner"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringLike", "aws:missing", ["team"], True),
        ("StringNotEquals", "aws:TagKeys", "team", False),
    ],
)
def test_conditions(operator, key, values, expected):
    (condition,) = conditions_of({operator: {key: values}})
    assert condition.holds(CONTEXT) is expected
    text = document(allow(Condition={operator: {key: values}}))
    assert allowed([text], asked=request(context=CONTEXT)) is expected


def test_all_keys_of_all_operators_have_to_hold():
    both = {"StringEquals": {"aws:username": "anna"}, "Bool": {"aws:SecureTransport": "false"}}
    assert not allowed([document(allow(Condition=both))], asked=request(context=CONTEXT))
    two = {"StringEquals": {"aws:username": "anna", "aws:requesttag/team": "Orders"}}
    assert allowed([document(allow(Condition=two))], asked=request(context=CONTEXT))


def test_a_name_of_stars_is_no_wildcard():
    own = document(allow(resource=f"arn:aws:dsql:*:*:cluster/${{aws:username}}"))  # noqa: F541
    for name, expected in (("abcdefghijklmnopqrstuvwxyz", True), ("*", False), ("?" * 26, False), ("\ue000", False)):
        assert allowed([own], asked=request(context={"aws:username": (name,)})) is expected
    literal = document(allow(resource="arn:aws:dsql:*:*:cluster/${*}"))
    assert allowed([literal], asked=request(resource=f"arn:aws:dsql:{REGION}:{ACCOUNT}:cluster/*"))
    assert not allowed([literal])


PERSON = {"AWS": ADMIN}


@pytest.mark.parametrize(
    ("identity", "resource", "expected"),
    [
        ([], allow(Principal=PERSON), True),
        ([], allow(Principal="*"), True),
        ([], allow(Principal={"AWS": "*"}), True),
        ([], allow(Principal={"AWS": ACCOUNT}), False),  # leaves it to the account's own policies
        ([EVERYTHING], allow(Principal={"AWS": ACCOUNT}), True),
        ([EVERYTHING], deny(Principal={"AWS": ACCOUNT}), False),
        ([EVERYTHING], deny(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), False),
        ([EVERYTHING], deny(Principal={"AWS": ROLE}), True),
        ([EVERYTHING], deny(NotPrincipal=PERSON), True),
        ([EVERYTHING], deny(NotPrincipal={"AWS": ROLE}), False),
        ([], allow(Principal={"Service": "dsql.amazonaws.com"}), False),
        ([document(deny())], allow(Principal=PERSON), False),
        ([], allow("dsql:DbConnectAdmin", Principal=PERSON), False),
    ],
)
def test_identity_and_cluster_policies_together(identity, resource, expected):
    assert allowed(identity, document(resource)) is expected


@pytest.mark.parametrize(
    ("identity", "boundary", "resource", "expected"),
    [
        ([EVERYTHING], document(allow()), "", True),
        ([EVERYTHING], document(allow("dsql:GetCluster")), "", False),
        ([EVERYTHING], document(allow(), deny()), "", False),
        ([], document(allow()), "", False),  # it only narrows
        ([], document(allow("dsql:GetCluster")), document(allow(Principal={"AWS": ROLE})), False),
        ([], document(allow()), document(allow(Principal={"AWS": ROLE})), True),
        ([], document(allow("dsql:GetCluster")), document(allow(Principal={"AWS": SESSION})), True),
        ([EVERYTHING], "not json", "", False),
        ([EVERYTHING], "", "not json", False),
        (["not json"], "", "", False),
    ],
)
def test_session_policies_narrow(identity, boundary, resource, expected):
    asked = request(principal=SESSION, mapped=ROLE)
    assert allowed(identity, resource, boundary, asked) is expected


def test_another_account_needs_both_policies():
    foreign = "arn:aws:iam::111111111111:user/eve"
    asked = request(principal=foreign)
    shared = document(allow(Principal={"AWS": "111111111111"}))
    assert not allowed([EVERYTHING], "", asked=asked)
    assert not allowed([], shared, asked=asked)
    assert allowed([EVERYTHING], shared, asked=asked)


def test_refusals_are_in_awss_words():
    policies = Policies()
    asked = request()
    start = f"User: {ADMIN} is not authorized to perform: {CONNECT} on resource: {ARN} "
    for arguments, end in (
        (((), ""), f"because no identity-based policy allows the {CONNECT} action"),
        (((document(deny()),), ""), "with an explicit deny in an identity-based policy"),
        (((EVERYTHING,), document(allow("s3:*"))), f"because no session policy allows the {CONNECT} action"),
        (((EVERYTHING,), document(deny())), "with an explicit deny in a session policy"),
    ):
        assert policies.decide(asked, *arguments).message(asked) == start + end
    nowhere = request("dsql:ListClusters", "*")
    assert "on resource" not in policies.decide(nowhere, ()).message(nowhere)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not a JSON document"),
        ("[]", "must be a JSON object"),
        ("{}", "Missing required field Statement"),
        ('{"Statement":[]}', "Missing required field Statement"),
        ('{"Version":"2020-01-01","Statement":[]}', "must be version 2012-10-17"),
        ('{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', "not a JSON document"),
        ('{"Statement":{},"More":1}', "unknown element More"),
        (document({**allow(), "effect": "Allow"}), "unknown element effect"),
        (document({"Action": "*", "Resource": "*"}), "Missing required field Effect"),
        (document({**allow(), "Effect": "allow"}), "Invalid effect: allow"),
        (document({"Effect": "Allow", "Resource": "*"}), "must contain actions"),
        (document({"Effect": "Allow", "Action": "*"}), "must contain resources"),
        (document({**allow(), "NotAction": "*"}), "exclude each other"),
        (document(allow("DbConnect")), "prefaced by a vendor"),
        (document(allow([])), "must be a string or a list"),
        (document(allow(7)), "must be a string or a list"),
        (document(allow(resource="cluster/x")), 'must be in ARN format or "*"'),
        (document(allow(Principal="*")), "should not specify a principal"),
        (document(allow(Condition=[])), "Condition must be an object"),
        (document(allow(Condition={"StringMatches": {"aws:a": "b"}})), "Invalid Condition type : StringMatches"),
        (document(allow(Condition={"NullIfExists": {"aws:a": "true"}})), "Invalid Condition type : NullIfExists"),
        (document(allow(Condition={"Some:StringLike": {"aws:a": "true"}})), "Invalid Condition type"),
        (document(allow(Condition={"StringLike": {"username": "b"}})), "prefaced by a vendor"),
        (document(allow(Condition={"StringLike": {"aws:a": []}})), "no values"),
        (document(allow(Condition={"StringLike": {"aws:a": {}}})), "must be a string"),
        (document(allow(Condition={"NumericEquals": {"aws:a": "x"}})), "x is no value for NumericEquals"),
        (document(allow(Condition={"DateEquals": {"aws:a": "x"}})), "no value for DateEquals"),
        (document(allow(Condition={"IpAddress": {"aws:a": "300.1.1.1"}})), "no value for IpAddress"),
        (document(allow(Condition={"Bool": {"aws:a": "yes"}})), "no value for Bool"),
        (document({**allow(), "Sid": "a-b"}), "alpha-numeric"),
        (document({**allow(), "Sid": "a"}, {**allow(), "Sid": "a"}), "must be unique"),
        (document(*[allow()] * 257), "more than 256"),
        ("[" * 20_000, "not a JSON document"),
        ('{"Statement":' + "1" * 20_000 + "}", "not a JSON document"),
        (" " * (BYTES_MAX + 1), "larger than 20480 bytes"),
        ('{"Statement":NaN}', "not a JSON document"),
    ],
)
def test_documents_that_are_no_policy_are_refused(text, word):
    with pytest.raises(PolicyRefused, match=r"\w") as caught:
        parse(text, False)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "principal",
    [{}, {"Who": "*"}, {"AWS": "anna"}, {"AWS": []}, {"AWS": "arn:aws:s3:::bucket"}, "anna", None, {"AWS": "1"}],
)
def test_principals_have_to_be_ones(principal):
    with pytest.raises(PolicyRefused):
        parse(document(allow(Principal=principal)), True)
    with pytest.raises(PolicyRefused, match="Missing required field Principal"):
        parse(document(allow()), True)


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        (None, True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"StringLike": {"aws:PrincipalAccount": "*"}}, True),
        ({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, True),
        ({"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-1/*"}}, True),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, True),
        ({"StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"]}}, False),
        ({"StringLike": {"aws:SourceVpc": ["vpc-1", "*"]}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, False),
        ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}, True),
        ({"Null": {"aws:PrincipalAccount": "false"}}, True),
    ],
)
def test_policies_for_everybody_have_to_be_narrowed(condition, public):
    more = {"Condition": condition} if condition else {}
    for principal in ("*", {"AWS": ["*", ACCOUNT]}):
        policy = parse(document(allow(Principal=principal, **more)), True)
        if public:
            with pytest.raises(PolicyRefused, match="The policy allows public access"):
                check_not_public(policy)
        else:
            check_not_public(policy)
    check_not_public(parse(document(deny(Principal="*"), allow(Principal=PERSON)), True))


def test_all_of_dsqls_actions_are_known():
    assert len(ACTIONS) == 30
    assert action_named("dsql:dbconnectadmin").full_name == "dsql:DbConnectAdmin"
    assert action_named("dsql:Drop") is None
    assert {a.name for a in ACTIONS if not a.resources} == {"ListClusters", "InjectError"}


def test_the_context_tells_who_asks_from_where():
    user = context_of(PERMANENT, now=NOW, client="192.0.2.7:50", secure=True, region=REGION, resource=ARN)
    assert user["aws:username"] == ("admin",)
    assert user["aws:sourceip"] == ("192.0.2.7",)
    assert user["aws:resourceaccount"] == (ACCOUNT,)
    role = context_of(
        TEMPORARY, now=NOW, client="[2001:db8::1]:50", secure=False, region=REGION, request_tags={"Team": "x"}
    )
    assert "aws:username" not in role
    assert role["aws:principalarn"] == (ROLE,)
    assert role["aws:principaltype"] == ("AssumedRole",)
    assert role["aws:sourceip"] == ("2001:db8::1",)
    assert (role["aws:requesttag/team"], role["aws:tagkeys"]) == (("x",), ("Team",))
    assert address_of("2001:db8::1") == "2001:db8::1"
    assert address_of("") == ""


def test_arns():
    assert session_arn(ACCOUNT, "app", "pod-1") == SESSION
    assert (principal_name(SESSION), principal_name(ROLE), principal_name(ADMIN)) == ("app", "app", "admin")
    assert account_of("nothing") == ""
    assert all(map(is_principal, (ADMIN, ROLE, SESSION, f"arn:aws:iam::{ACCOUNT}:root")))
    assert not any(map(is_principal, ("admin", ARN, "arn:aws:iam::1:user/a", ADMIN + "x" * 3000)))


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_mean_what_a_shell_means(pattern, text):
    import fnmatch

    assert matches(wild(pattern), text) is fnmatch.fnmatchcase(text, pattern)


def test_many_stars_take_no_time_to_speak_of():
    pattern = wild("*a" * 5000 + "b")
    assert not matches(pattern, "a" * 20_000)


@given(st.text("${}*?,' :aws", max_size=40))
def test_any_pattern_is_resolved(text):
    assert resolved(wild(text), {}) is None or isinstance(resolved(wild(text), {}), str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Effect", "Action", "Resource", "Principal", "Condition", "StringEquals", "aws:a"]),
                children,
                max_size=4,
            )
        ),
    ),
    st.booleans(),
)
def test_any_statement_is_read_or_refused(element, resource_based):
    with contextlib.suppress(PolicyRefused):
        parse(json.dumps({"Statement": element}), resource_based)


ACTION_PATTERNS = st.sampled_from(["*", "dsql:*", CONNECT, "dsql:DbConnectAdmin", "s3:*"])
RESOURCE_PATTERNS = st.sampled_from(["*", ARN, STREAM, "arn:aws:dsql:*:*:cluster/*"])
EFFECTS = st.sampled_from(["Allow", "Deny"])
WHOLE = st.builds(
    lambda effect, action, resource, negated: {
        "Effect": effect,
        "NotAction" if negated else "Action": action,
        "Resource": resource,
    },
    EFFECTS,
    ACTION_PATTERNS,
    RESOURCE_PATTERNS,
    st.booleans(),
)
NAMED = st.builds(
    lambda statement, principal, negated: {**statement, "NotPrincipal" if negated else "Principal": principal},
    WHOLE,
    st.sampled_from(["*", {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": ACCOUNT}, {"AWS": ADMIN}]),
    st.booleans(),
)


@given(st.lists(WHOLE, max_size=3), st.lists(NAMED, max_size=2), st.lists(WHOLE, max_size=2), WHOLE, NAMED)
def test_a_deny_never_lets_in_and_an_allow_never_keeps_out(identity, resource, boundary, one, named):
    asked = request(principal=SESSION, mapped=ROLE)

    def answer(identity, resource, boundary):
        texts = [document(*statements) if statements else "" for statements in (identity, resource, boundary)]
        return allowed([texts[0]] if texts[0] else [], texts[1], texts[2], asked)

    before = answer(identity, resource, boundary)
    for effect, more in (("Deny", False), ("Allow", True)):
        statement, cluster = {**one, "Effect": effect}, {**named, "Effect": effect}
        after = [answer([*identity, statement], resource, boundary), answer(identity, [*resource, cluster], boundary)]
        if boundary:
            after.append(answer(identity, resource, [*boundary, statement]))
        assert all(now >= before if more else now <= before for now in after)
    assert answer(identity, resource, boundary) <= answer(identity, resource, [])

"""Native objects behave like pydantic models: dumps, validation, schemas, errors.

Most tests use a stand-in written in Python, so that they are about the protocol alone; the last ones use the native
classes.
"""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from datetime import datetime, timezone
from enum import Enum
from typing import Any, ClassVar, Optional
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from proxywhirl import _core
from proxywhirl._native.fields import MODELS, REQUIRED, FieldSpec, ModelSpec
from proxywhirl._native.model import ensure_installed, install_class, validation_error
from proxywhirl.models import HealthStatus, Proxy, ProxyPool, SelectionContext, Session

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
IDENTITY = UUID(int=7)
SECRETS = ("alice", "hunter2")

LEAF = ModelSpec(
    (
        FieldSpec("id", "UUID", factory=uuid4),
        FieldSpec("url", "str", REQUIRED, url=True),
        FieldSpec("username", "Optional[SecretStr]", secret=True),
        FieldSpec("password", "Optional[SecretStr]", secret=True),
        FieldSpec("status", "HealthStatus", HealthStatus.UNKNOWN, enum=HealthStatus),
        FieldSpec("count", "int", 0, bounds={"ge": 0}),
        FieldSpec("tags", "Set[str]", factory=set),
        FieldSpec("metadata", "Dict[str, Any]", factory=dict),
        FieldSpec("created_at", "datetime", factory=lambda: datetime.now(timezone.utc)),
        FieldSpec("limit", "Optional[float]", 1.5),
    )
)
SPEC = ModelSpec((*LEAF.fields, FieldSpec("children", "List[Leaf]", factory=list)))


class Leaf:
    """What a native class offers, in Python."""

    SPEC = LEAF
    url: str

    def __init__(self, **values: Any) -> None:
        for field in self.SPEC.fields:
            default = field.factory() if field.factory else field.default
            setattr(self, field.name, values.get(field.name, default))
        if not self.url.startswith("http://"):
            raise validation_error(type(self).__name__, [("url", f"Invalid proxy URL {self.url!r}", self.url)])

    def _dump(self) -> dict[str, Any]:
        dumped = {field.name: getattr(self, field.name) for field in self.SPEC.fields}
        # Natives may give text where the field is an enumeration.
        dumped["status"] = dumped["status"].value if isinstance(dumped["status"], Enum) else dumped["status"]
        return dumped


class Stand(Leaf):
    """One that holds others."""

    SPEC = SPEC


install_class(Leaf, LEAF)
install_class(Stand, SPEC, {"Leaf": Leaf})


def stand(cls: type = Stand, **values: Any) -> Any:
    given = {
        "id": IDENTITY,
        "url": "http://alice:hunter2@h.test:8080",
        "username": "alice",
        "password": "hunter2",
        "created_at": WHEN,
        "tags": {"b", "a"},
        **values,
    }
    return cls(**given)


class TestDump:
    def test_python_values_are_kept_and_secrets_wrapped(self) -> None:
        dumped = stand(metadata={"n": 1}).model_dump()
        assert list(dumped) == [field.name for field in SPEC.fields]
        assert dumped["id"] == IDENTITY
        assert dumped["url"] == "http://***:***@h.test:8080"
        assert dumped["username"] == SecretStr("alice")
        assert dumped["password"] == SecretStr("hunter2")
        assert dumped["status"] is HealthStatus.UNKNOWN
        assert dumped["tags"] == {"a", "b"}
        assert dumped["created_at"] is WHEN

    def test_json_values(self) -> None:
        dumped = stand(status=HealthStatus.DEAD).model_dump(mode="json")
        assert dumped == {
            "id": str(IDENTITY),
            "url": "http://***:***@h.test:8080",
            "username": "**********",
            "password": "**********",
            "status": "dead",
            "count": 0,
            "tags": ["a", "b"],
            "metadata": {},
            "created_at": "2030-01-02T03:04:05Z",
            "limit": 1.5,
            "children": [],
        }
        assert json.loads(stand(status=HealthStatus.DEAD).model_dump_json()) == dumped

    @pytest.mark.parametrize("mode", ["python", "json"])
    def test_reveal_shows_plain_text(self, mode: str) -> None:
        dumped = stand().model_dump(mode=mode, reveal=True)
        assert dumped["url"] == "http://alice:hunter2@h.test:8080"
        assert (dumped["username"], dumped["password"]) == ("alice", "hunter2")

    def test_no_secret_anywhere(self) -> None:
        thing = stand(metadata={"last": ["GET http://alice:hunter2@h.test failed"]}, children=[stand(Leaf)])
        shown = [repr(thing.model_dump()), repr(thing.model_dump(mode="json")), thing.model_dump_json(), thing.json()]
        assert [secret for secret in SECRETS for text in shown if secret in text] == []
        assert thing.model_dump_json(reveal=True).count("hunter2") == 5

    def test_objects_inside_are_dumped_with_the_same_options(self) -> None:
        dumped = stand(children=[stand(Leaf, limit=None)]).model_dump(mode="json", exclude_none=True, reveal=True)
        assert dumped["children"][0]["password"] == "hunter2"
        assert "limit" not in dumped["children"][0]

    def test_include_and_exclude(self) -> None:
        thing = stand(children=[stand(Leaf), stand(Leaf)])
        assert set(thing.model_dump(include={"id", "url"})) == {"id", "url"}
        assert "url" not in thing.model_dump(exclude={"url"})
        inner = thing.model_dump(include={"children": {"__all__": {"count"}}})
        assert inner == {"children": [{"count": 0}, {"count": 0}]}
        assert json.loads(thing.model_dump_json(include={"count"})) == {"count": 0}

    def test_defaults_and_none_can_be_left_out(self) -> None:
        thing = stand(username=None, password=None, tags=set(), url="http://h.test")
        assert set(thing.model_dump(exclude_defaults=True)) == {"id", "url", "created_at"}
        assert thing.model_dump(exclude_unset=True) == thing.model_dump(exclude_defaults=True)
        assert {"username", "password"}.isdisjoint(thing.model_dump(exclude_none=True))
        assert thing.model_fields_set == {"id", "url", "created_at"}

    def test_indent_and_unknown_options(self) -> None:
        assert "\n  " in stand().model_dump_json(indent=2)
        assert "\n" not in stand().model_dump_json()
        assert stand().model_dump(round_trip=True, warnings=False, by_alias=True)["count"] == 0

    def test_older_names(self) -> None:
        assert stand().dict(include={"count"}) == {"count": 0}
        assert stand().json(include={"count"}) == '{"count":0}'


class TestValidate:
    def test_an_object_is_returned_as_it_is(self) -> None:
        thing = stand()
        assert Stand.model_validate(thing) is thing  # type: ignore[attr-defined]

    def test_plain_data_becomes_proper_values(self) -> None:
        made = Stand.model_validate(  # type: ignore[attr-defined]
            {
                "id": str(IDENTITY),
                "url": "http://h.test",
                "status": "DEAD",
                "tags": ["x"],
                "created_at": "2030-01-02T03:04:05Z",
            }
        )
        assert (made.id, made.status, made.tags, made.created_at) == (IDENTITY, HealthStatus.DEAD, {"x"}, WHEN)
        assert made.count == 0

    def test_attributes(self) -> None:
        class Row:
            url = "http://h.test"
            count = 4

        assert Stand.model_validate(Row(), from_attributes=True).count == 4  # type: ignore[attr-defined]
        with pytest.raises(ValidationError, match="valid dictionary or instance of Stand"):
            Stand.model_validate(Row())  # type: ignore[attr-defined]

    @pytest.mark.parametrize("mode", ["python", "json"])
    def test_round_trip_with_secrets(self, mode: str) -> None:
        thing = stand(children=[stand(Leaf)])
        again = Stand.model_validate(thing.model_dump(mode=mode, reveal=True))  # type: ignore[attr-defined]
        assert again.model_dump(reveal=True) == thing.model_dump(reveal=True)

    def test_a_python_dump_brings_its_secrets_along(self) -> None:
        again = Stand.model_validate(stand().model_dump())  # type: ignore[attr-defined]
        assert again.url == "http://alice:hunter2@h.test:8080"
        assert (again.username, again.password) == SECRETS

    def test_credentials_are_quoted_when_they_return_into_the_url(self) -> None:
        data = {**stand().model_dump(), "password": SecretStr("p@ss/word")}
        assert Stand.model_validate(data).url == "http://alice:p%40ss%2Fword@h.test:8080"  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        "lost",
        [
            {"url": "http://***:***@h.test"},
            {"url": "http://h.test", "username": "**********", "password": "**********"},
            {"url": "http://***:***@h.test", "username": "**********", "password": "**********"},
        ],
    )
    def test_masked_secrets_are_not_taken_for_real_ones(self, lost: dict[str, str]) -> None:
        with pytest.raises(ValidationError, match="reveal=True"):
            Stand.model_validate(lost)  # type: ignore[attr-defined]

    def test_json(self) -> None:
        text = '{"url": "http://h.test", "count": 3}'
        for data in (text, text.encode()):
            assert Stand.model_validate_json(data).count == 3  # type: ignore[attr-defined]
        with pytest.raises(ValidationError, match="Invalid JSON") as caught:
            Stand.model_validate_json('{"password": "hunter2", ')  # type: ignore[attr-defined]
        assert "hunter2" not in str(caught.value) + repr(caught.value.errors())

    def test_each_fault_is_reported_and_no_secret_with_it(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Stand.model_validate(  # type: ignore[attr-defined]
                {"count": -1, "status": "?", "password": "hunter2", "children": [{"url": "ftp://alice:hunter2@x"}, 3]}
            )
        error = caught.value
        assert error.title == "Stand"
        assert {item["loc"]: item["type"] for item in error.errors()} == {
            ("url",): "missing",
            ("status",): "enum",
            ("count",): "greater_than_equal",
            ("children", 0, "url"): "value_error",
            ("children", 1): "model_type",
        }
        for text in (str(error), repr(error), repr(error.errors()), error.json()):
            assert not any(secret in text for secret in SECRETS)

    @pytest.mark.parametrize("data", [None, 3, "text", ["a"], b"x"])
    def test_other_things_are_refused(self, data: Any) -> None:
        for from_attributes in (False, True):
            with pytest.raises(ValidationError) as caught:
                Stand.model_validate(data, from_attributes=from_attributes)  # type: ignore[attr-defined]
            assert caught.value.errors()[0]["type"] == "model_type"

    def test_a_type_error_of_the_constructor_is_a_validation_error(self) -> None:
        class Picky(Stand):
            def __init__(self, **values: Any) -> None:
                raise TypeError("argument 'count': wrong")

        with pytest.raises(ValidationError, match="argument 'count': wrong") as caught:
            Picky.model_validate({"url": "http://alice:hunter2@h.test"})  # type: ignore[attr-defined]
        assert "hunter2" not in str(caught.value)

    def test_subclasses_make_themselves(self) -> None:
        class Narrower(Stand):
            pass

        assert type(Narrower.model_validate({"url": "http://h.test"})) is Narrower  # type: ignore[attr-defined]

    def test_construct(self) -> None:
        assert Stand.model_construct(url="http://h.test", count=2).count == 2  # type: ignore[attr-defined]


class TestCopy:
    def test_shallow_and_deep(self) -> None:
        thing = stand(metadata={"a": []})
        shallow, deep = thing.model_copy(), thing.model_copy(deep=True)
        assert shallow is not thing
        assert shallow.metadata is thing.metadata
        assert deep.metadata == thing.metadata
        assert deep.metadata["a"] is not thing.metadata["a"]

    def test_update(self) -> None:
        thing = stand()
        changed = thing.model_copy(update={"count": 9})
        assert (changed.count, thing.count, changed.id) == (9, 0, thing.id)

    def test_update_of_what_cannot_be_assigned(self) -> None:
        class Frozen(Stand):
            def __setattr__(self, name: str, value: Any) -> None:
                if name in self.__dict__:
                    raise AttributeError(name)
                super().__setattr__(name, value)

        changed = stand(Frozen, metadata={"a": 1}).model_copy(update={"count": 9})
        assert (type(changed), changed.count, changed.metadata) == (Frozen, 9, {"a": 1})

    def test_older_name(self) -> None:
        thing = stand(count=3)
        assert thing.copy(update={"limit": 2.0}).limit == 2.0
        assert thing.copy(exclude={"count"}).count == 0
        assert thing.copy(include={"url", "count"}).tags == set()


class TestDescription:
    def test_fields(self) -> None:
        fields = Stand.model_fields  # type: ignore[attr-defined]
        assert list(fields) == [field.name for field in SPEC.fields]
        assert fields["url"].is_required()
        assert fields["limit"].default == 1.5
        assert fields["username"].annotation == Optional[SecretStr]
        assert stand().model_fields.keys() == fields.keys()

    def test_schema(self) -> None:
        schema = Stand.model_json_schema()  # type: ignore[attr-defined]
        assert schema["title"] == "Stand"
        assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Leaf"}
        properties = schema["properties"]
        assert properties["count"]["minimum"] == 0
        assert properties["id"]["format"] == "uuid"


class Holder(BaseModel):
    thing: Stand
    others: list[Stand] = []


class TestAsFieldType:
    def test_objects_and_data_are_both_accepted(self) -> None:
        thing = stand()
        holder = Holder(thing=thing, others=[{"url": "http://i.test", "count": "4"}])  # type: ignore[list-item]
        assert holder.thing is thing
        assert holder.others[0].count == 4  # type: ignore[attr-defined]

    def test_dumps_follow_the_mode(self) -> None:
        holder = Holder(thing=stand())
        assert holder.model_dump()["thing"]["password"] == SecretStr("hunter2")
        assert holder.model_dump(mode="json")["thing"]["id"] == str(IDENTITY)
        assert holder.model_dump(include={"thing": {"count"}}) == {"thing": {"count": 0}}
        assert "hunter2" not in holder.model_dump_json()
        assert "limit" not in holder.model_dump(exclude_defaults=True)["thing"]

    @pytest.mark.skipif(
        "context" not in inspect.signature(BaseModel.model_dump_json).parameters, reason="pydantic before 2.7"
    )
    def test_reveal_travels_in_the_context(self) -> None:
        holder = Holder(thing=stand())
        text = holder.model_dump_json(context={"reveal": True})
        assert Holder.model_validate_json(text).thing.password == "hunter2"  # type: ignore[attr-defined]
        with pytest.raises(ValidationError, match="reveal=True"):
            Holder.model_validate_json(holder.model_dump_json())

    def test_faults_are_reported_with_the_way_to_them(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Holder.model_validate({"thing": {"url": "ftp://a:hunter2@x"}, "others": [{"count": 1}]})
        assert {item["loc"] for item in caught.value.errors()} == {("thing", "url"), ("others", 0, "url")}
        assert "hunter2" not in str(caught.value)

    def test_schema_refers_to_the_class(self) -> None:
        schema = Holder.model_json_schema()
        assert schema["properties"]["thing"] == {"$ref": "#/$defs/Stand"}
        assert schema["$defs"]["Stand"]["required"] == ["url"]

    def test_type_adapter(self) -> None:
        adapter = TypeAdapter(list[Stand])
        assert adapter.validate_python([{"url": "http://h.test"}])[0].url == "http://h.test"
        assert json.loads(adapter.dump_json([stand()]))[0]["url"] == "http://***:***@h.test:8080"


class TestValidationError:
    def test_it_is_the_real_thing(self) -> None:
        error = validation_error("Proxy", [("url", "Invalid proxy URL 'x'", "x"), ("", "all wrong", None)])
        assert type(error) is ValidationError
        assert error.title == "Proxy"
        assert [(item["type"], item["loc"], item["input"]) for item in error.errors()] == [
            ("value_error", ("url",), "**********"),
            ("value_error", (), None),
        ]
        assert "Invalid proxy URL 'x'" in str(error)
        assert "all wrong" in str(error)

    @pytest.mark.parametrize(
        ("field", "message", "value"),
        [
            ("password", "hunter2 is too short", "hunter2"),
            ("username", "bad", "hunter2"),
            ("username", "bad", SecretStr("hunter2")),
            ("url", "Invalid proxy URL 'http://a:hunter2@h'", "http://a:hunter2@h"),
            ("url", "Invalid proxy URL 'http://a:hunter2/x y@h:1'", "http://a:hunter2/x y@h:1"),
            ("url", "Invalid proxy URL", "a:hunter2@h:1"),
            ("proxies", "bad list", [{"password": "hunter2", "url": "http://a:hunter2@h"}]),
            ("", "Both username and password must be provided together", {"password": "hunter2"}),
        ],
    )
    def test_secrets_are_masked(self, field: str, message: str, value: Any) -> None:
        error = validation_error("Proxy", [(field, message, value)])
        assert "hunter2" not in str(error) + repr(error.errors()) + error.json()


class TestNativeClasses:
    OBJECTS: ClassVar[list[Any]] = [
        lambda: Proxy(url="http://alice:hunter2@h.test:8080", tags={"b", "a"}, country_code="DE"),
        lambda: ProxyPool(name="p", proxies=[Proxy(url="http://h.test:1"), Proxy(url="http://i.test:1")]),
        lambda: SelectionContext(session_id="s", target_country="DE", failed_proxy_ids=["x"]),
        lambda: Session(session_id="s", proxy_id=str(IDENTITY), expires_at=WHEN),
    ]

    @pytest.mark.parametrize("make", OBJECTS)
    def test_the_table_says_what_the_class_has(self, make: Any) -> None:
        thing = make()
        names = [field.name for field in MODELS[type(thing).__name__].fields]
        assert list(thing._dump())[: len(names)] == names
        assert list(type(thing).model_fields) == names

    @pytest.mark.parametrize("make", OBJECTS)
    @pytest.mark.parametrize("mode", ["python", "json"])
    def test_round_trip(self, make: Any, mode: str) -> None:
        thing = make()
        again = type(thing).model_validate(thing.model_dump(mode=mode, reveal=True))
        assert type(again) is type(thing)
        assert again.model_dump(reveal=True) == thing.model_dump(reveal=True)
        assert type(thing).model_validate_json(thing.model_dump_json(reveal=True)).model_dump() == thing.model_dump()

    @pytest.mark.parametrize("make", OBJECTS)
    def test_copies(self, make: Any) -> None:
        thing = make()
        for twin in (
            thing.model_copy(),
            thing.model_copy(deep=True),
            copy.deepcopy(thing),
            pickle.loads(pickle.dumps(thing)),
        ):
            assert twin is not thing
            assert twin.model_dump(reveal=True) == thing.model_dump(reveal=True)

    @pytest.mark.parametrize("make", OBJECTS)
    def test_field_type(self, make: Any) -> None:
        thing = make()
        adapter = TypeAdapter(type(thing))
        assert adapter.validate_python(thing) is thing
        assert b"hunter2" not in adapter.dump_json(thing)
        assert adapter.json_schema()

    def test_defaults_in_the_table_are_those_of_the_class(self) -> None:
        required: dict[str, dict[str, Any]] = {
            "Proxy": {"url": "http://h.test"},
            "Session": {"session_id": "s", "proxy_id": str(IDENTITY), "expires_at": WHEN},
        }
        derived = {"protocol"}  # follows from the URL
        for name, spec in MODELS.items():
            given: dict[str, Any] = required.get(name, {})
            thing = getattr(_core, name)(**given)
            for field in spec.fields:
                if field.factory is None and field.default is not REQUIRED and field.name not in derived:
                    assert getattr(thing, field.name) == field.default, (name, field.name)

    def test_bad_input_is_a_validation_error(self) -> None:
        with pytest.raises(ValidationError, match="Invalid proxy URL") as caught:
            Proxy(url="ftp://alice:hunter2@h.test")
        assert not any(secret in str(caught.value) for secret in SECRETS)
        with pytest.raises(ValidationError):
            Proxy.model_validate({"url": "http://h.test", "requests_started": -1})

    def test_uuids_are_welcome_where_ids_are_text(self) -> None:
        context = SelectionContext.model_validate({"failed_proxy_ids": [IDENTITY]})
        assert context.failed_proxy_ids == [str(IDENTITY)]

    def test_installing_again_changes_nothing(self) -> None:
        before = Proxy.__dict__["model_dump"], Proxy.__proxywhirl_model__  # type: ignore[attr-defined]
        ensure_installed()
        ensure_installed(_core)
        assert (Proxy.__dict__["model_dump"], Proxy.__proxywhirl_model__) == before  # type: ignore[attr-defined]

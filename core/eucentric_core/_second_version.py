"""Models that gained fields with version 2 of their schema and still read and write version 1."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from ._model import FrozenModel

__all__ = ["SecondVersion"]


class SecondVersion(FrozenModel):
    """What is version 1 holds none of `SINCE_VERSION_2` and is written without them, as it was read."""

    SINCE_VERSION_2: ClassVar[tuple[str, ...]] = ()

    schema_version: Literal[1, 2] = 2

    @model_validator(mode="after")
    def _fields_of_its_version(self) -> Self:
        if self.schema_version == 1:
            for name in self.SINCE_VERSION_2:
                field = type(self).model_fields[name]
                if getattr(self, name) != field.get_default(call_default_factory=True):
                    raise ValueError(f"{name} came with version 2")
        return self

    @model_serializer(mode="wrap")
    def _written_as_its_version(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        if self.schema_version == 1:
            for name in self.SINCE_VERSION_2:
                fields.pop(name, None)
        return fields

"""Fields that hold a rate or a length of time, in bodies and files: a number, or what people write for one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from longshore.errors import InvalidInput
from longshore.model.quantities import parse_rate, parse_seconds


@dataclass(frozen=True)
class _OrWritten:
    """Has pydantic take a text for a number, too."""

    read: Callable[[str], float]
    examples: tuple[str, ...]

    def __get_pydantic_core_schema__(self, kind: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema  # which whoever only copies needn't load

        def read(given: Any) -> Any:
            if not isinstance(given, str):
                return given
            try:
                return self.read(given)
            except InvalidInput as error:
                raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from None

        return core_schema.no_info_before_validator_function(read, handler(kind))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {"anyOf": [handler(schema), {"type": "string", "examples": list(self.examples)}]}


Rate = Annotated[int, _OrWritten(parse_rate, ("800K", "50M", "1.5G"))]  # bytes per second
Seconds = Annotated[float, _OrWritten(parse_seconds, ("90", "15m", "1h30m"))]

"""A network as a list of primitive steps with constants, which ``page_files/network.js`` runs for one sample.

Every value is an array of floats in row-major order, in a slot of its own. A network of any class can be written as
long as ``torch.export`` breaks it down to the operations below: what only looks at values from elsewhere (views,
permutations, slices), what depends on weights alone (computed here, once), and those that ``WRITERS`` names.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg

from gans.errors import InputError, one_line

Step = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """What is known of an array only when the network runs."""

    slot: int
    shape: tuple[int, ...]


@dataclass
class Program:
    """Steps that read and write numbered slots."""

    inputs: list[int] = field(default_factory=list)
    """The slots of the network's inputs."""
    constants: dict[int, Tensor] = field(default_factory=dict)
    """float32 tensors by slot."""
    steps: list[Step] = field(default_factory=list)
    """Each has ``op``, ``from`` (slots), ``to`` (a slot), ``shape`` (of what it writes), and the op's own options."""
    output: int = -1
    """The slot of the network's output."""
    slots: int = 0

    def new_slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def slot_of(self, value: "Value | Tensor | float") -> int:
        """A value's slot; a constant gets one."""
        if isinstance(value, Value):
            return value.slot
        slot = self.new_slot()
        self.constants[slot] = torch.as_tensor(value).detach().float().contiguous()
        return slot

    def add(self, op: str, inputs: Sequence["Value | Tensor | float"], shape: Sequence[int], **options: Any) -> Value:
        """Append a step; its result."""
        slots = [self.slot_of(value) for value in inputs]
        result = Value(self.new_slot(), tuple(shape))
        self.steps.append({"op": op, "from": slots, "to": result.slot, "shape": list(shape), **options})
        return result


def write_program(network: nn.Module, inputs: tuple[Tensor, ...]) -> Program:
    """The program of a network in inference mode, for inputs like these: a batch of one sample.

    Raises:
        InputError: if the network needs an operation that the browser's interpreter does not have.
    """
    name = type(network).__name__
    try:
        with torch.no_grad():
            exported = torch.export.export(network, inputs).run_decompositions(_decompositions())
    except Exception as error:
        raise InputError(f"{name} can't run in the browser: torch.export says {one_line(error)}") from error
    fixed = {**exported.state_dict, **exported.constants}
    names = {
        **exported.graph_signature.inputs_to_parameters,
        **exported.graph_signature.inputs_to_buffers,
        **exported.graph_signature.inputs_to_lifted_tensor_constants,
    }
    program = Program()
    known: dict[Node, Any] = {}
    needed = _needed(exported.graph.output_node())
    for node in exported.graph.nodes:
        if node.op == "placeholder" and node.name in names:
            known[node] = fixed[names[node.name]].detach()
        elif node.op == "placeholder":
            known[node] = Value(program.new_slot(), tuple(node.meta["val"].shape))
            program.inputs.append(known[node].slot)
        elif node.op == "output":
            program.output = program.slot_of(known[node.args[0][0]])
        elif node in needed:
            arguments = map_arg(node.args, known.__getitem__), map_arg(node.kwargs, known.__getitem__)
            known[node] = _write(program, node, *arguments, name)
    return program


def _decompositions() -> Any:
    """PyTorch's own, but for operations that are written as they are."""
    table = torch.export.default_decompositions()
    for operation in list(table.keys()):
        if str(operation).split(".")[1] in SEPARABLE:
            table.pop(operation)
    return table


def _needed(last: Node) -> set[Node]:
    """The nodes on which the output depends: assertions are not among them."""
    needed, open_nodes = set[Node](), [last]
    while open_nodes:
        node = open_nodes.pop()
        if node not in needed:
            needed.add(node)
            open_nodes += node.all_input_nodes
    return needed


def _write(program: Program, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], network: str) -> Any:
    """The result of one operation: a ``Value``, a list of them, or a tensor where all of its inputs are known."""
    target: Any = node.target
    if target is getitem:
        return args[0][args[1]]
    if not _values(args) and not _values(kwargs):
        with torch.no_grad():
            return target(*args, **kwargs)
    name = target._schema.name.removeprefix("aten::")
    writer = WRITERS.get(name) or (_view if _returns_views(target) else None)
    shape = node.meta["val"].shape if isinstance(node.meta["val"], Tensor) else ()
    try:
        if writer is None or (name == "_to_copy" and _truncates(node)):
            raise Unknown
        return writer(program, target, tuple(shape), *args, **kwargs)
    except (Unknown, TypeError) as error:
        raise InputError(
            f"{network} can't run in the browser: its operation {target} with these arguments is unknown there"
        ) from error


def _truncates(conversion: Node) -> bool:
    """Whether a conversion makes whole numbers of others: here all numbers are floats."""
    before, after = (node.meta["val"].dtype for node in (conversion.all_input_nodes[0], conversion))
    return before.is_floating_point and not after.is_floating_point


def _values(argument: Any) -> list[Value]:
    if isinstance(argument, Value):
        return [argument]
    parts = argument.values() if isinstance(argument, dict) else argument if isinstance(argument, list | tuple) else ()
    return [value for part in parts for value in _values(part)]


# --- operations -----------------------------------------------------------------------------------------------------


class Unknown(Exception):
    """Arguments for which the interpreter has no operation."""


Writer = Callable[..., Any]

UNARY = ("relu", "leaky_relu", "elu", "tanh", "sigmoid", "clamp", "exp", "log", "sqrt", "rsqrt", "neg", "abs", "silu",
         "reciprocal")  # fmt: skip
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "eq", "pow")
SAME = ("clone", "_to_copy", "alias", "detach", "contiguous")
SEPARABLE = ("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "avg_pool2d", "_adaptive_avg_pool2d")


def _returns_views(target: Any) -> bool:
    """Whether the result shares its memory with the first argument. as_strided depends on how that one lies there."""
    returns = target._schema.returns
    aliases = [each.alias_info for each in returns]
    return bool(aliases) and all(info and not info.is_write for info in aliases) and "as_strided" not in str(target)


def _view(program: Program, target: Any, _: tuple[int, ...], value: Value, *args: Any, **kwargs: Any) -> Any:
    """Any operation that only picks and orders values: where it takes each from is seen by trying."""
    views = target(torch.empty(value.shape), *args, **kwargs)
    made = [_strided(program, value, view) for view in (views if isinstance(views, list | tuple) else (views,))]
    return made if isinstance(views, list | tuple) else made[0]


def _strided(program: Program, value: Value, view: Tensor) -> Value:
    if view.is_contiguous() and view.numel() == math.prod(value.shape):
        return Value(value.slot, tuple(view.shape))
    return program.add("strided", [value], view.shape, strides=list(view.stride()), offset=view.storage_offset())


def _same(_program: Program, _target: Any, shape: tuple[int, ...], value: Value, **_options: Any) -> Value:
    return Value(value.slot, shape)


def _convolution(
    program: Program,
    _target: Any,
    shape: tuple[int, ...],
    value: Value,
    weight: Any,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    _output_padding: list[int],
    groups: int,
) -> Value:
    if isinstance(weight, Value) or isinstance(bias, Value) or len(shape) != 4:
        raise Unknown
    kernel = list(weight.shape[2:])
    if transposed:  # (inputs, outputs per group, h, w) -> per group (outputs, h, w, inputs)
        per_group = weight.unflatten(0, (groups, -1)).permute(0, 2, 3, 4, 1)
    else:
        per_group = weight.unflatten(0, (groups, -1))
    bias = torch.zeros(shape[1]) if bias is None else bias
    options = {"input": list(value.shape), "kernel": kernel, "stride": stride, "padding": padding, "groups": groups}
    rows = shape[1] // groups * (math.prod(kernel) if transposed else 1)
    op = "convolution_transposed" if transposed else "convolution"
    return program.add(op, [value, per_group, bias], shape, **options, dilation=dilation, rows=rows)


def _batch_norm(
    program: Program,
    _target: Any,
    _: tuple[int, ...],
    value: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    _momentum: float,
    eps: float,
) -> list[Value]:
    """BatchNorm with its moving averages: a scale and a shift for each channel."""
    scale = (1.0 if weight is None else weight) / (var + eps).sqrt()
    shift = (0.0 if bias is None else bias) - mean * scale
    per_channel = (-1, *[1] * (len(value.shape) - 2))
    scaled = _zip(program, "mul", value.shape, value, scale.reshape(per_channel))
    return [_zip(program, "add", value.shape, scaled, shift.reshape(per_channel))]


def _addmm(program: Program, _target: Any, shape: tuple[int, ...], bias: Any, value: Value, weight: Any) -> Value:
    if isinstance(weight, Value) or isinstance(bias, Value) or value.shape[0] != 1:
        raise Unknown
    return program.add("linear", [value, weight.T, torch.as_tensor(bias).expand(shape[1])], shape, rows=shape[1])


def _mm(program: Program, target: Any, shape: tuple[int, ...], value: Value, weight: Any) -> Value:
    return _addmm(program, target, shape, torch.zeros(()), value, weight)


def _embedding(program: Program, _target: Any, shape: tuple[int, ...], weight: Any, index: Value, *_: Any) -> Value:
    if isinstance(weight, Value):
        raise Unknown
    return program.add("embedding", [index, weight], shape)


def _map(name: str) -> Writer:
    def write(program: Program, _target: Any, shape: tuple[int, ...], value: Value, *args: Any, **kwargs: Any) -> Value:
        if kwargs:
            raise Unknown
        return program.add("map", [value], shape, function=name, arguments=list(args))

    return write


def _zip_writer(name: str) -> Writer:
    def write(
        program: Program, _target: Any, shape: tuple[int, ...], first: Any, second: Any, *, alpha: float = 1
    ) -> Value:
        if alpha != 1:
            raise Unknown
        return _zip(program, name, shape, first, second)

    return write


def _zip(program: Program, name: str, shape: tuple[int, ...], *pair: Any) -> Value:
    """A function of two arrays, broadcast to a shape."""
    shapes = [value.shape if isinstance(value, Value | Tensor) else () for value in pair]
    strides = [list(torch.empty(each).expand(shape).stride()) for each in shapes]
    return program.add("zip", pair, shape, function=name, strides=strides)


def _sum(
    program: Program, _target: Any, shape: tuple[int, ...], value: Value, dims: list[int] | None = None,
    _keep: bool = False,
) -> Value:  # fmt: skip
    rank = len(value.shape)
    summed = {dim % rank for dim in (dims or range(rank))}
    order = [dim for dim in range(rank) if dim not in summed] + sorted(summed)
    last = _strided(program, value, torch.empty(value.shape).permute(order))
    return program.add("sum", [last], shape)


def _mean(program: Program, target: Any, shape: tuple[int, ...], value: Value, *args: Any) -> Value:
    total = _sum(program, target, shape, value, *args)
    return _zip(program, "div", shape, total, math.prod(value.shape) / math.prod(shape))


def _cat(program: Program, _target: Any, shape: tuple[int, ...], values: list[Any], dim: int = 0) -> Value:
    dim %= len(shape)
    widths = [math.prod(value.shape[dim:]) for value in values]
    return program.add("cat", values, shape, widths=widths)


def _separable(program: Program, target: Any, shape: tuple[int, ...], value: Value, *args: Any, **kwargs: Any) -> Value:
    """Resizing and mean pooling: a matrix for the rows and one for the columns of every channel, seen by trying."""
    height, width = value.shape[2:]
    of_rows = target(torch.eye(height)[None, :, :, None].expand(-1, -1, -1, width).contiguous(), *args, **kwargs)
    of_columns = target(torch.eye(width)[None, :, None, :].expand(-1, -1, height, -1).contiguous(), *args, **kwargs)
    rows, columns = of_rows[0, :, :, 0].T, of_columns[0, :, 0, :]
    tried = torch.rand(value.shape)
    if not torch.allclose(target(tried, *args, **kwargs), rows @ tried @ columns, atol=1e-4):
        raise Unknown
    return program.add("separable", [value, rows, columns], shape)


WRITERS: dict[str, Writer] = {
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "addmm": _addmm,
    "mm": _mm,
    "embedding": _embedding,
    "sum": _sum,
    "mean": _mean,
    "cat": _cat,
    **{name: _map(name) for name in UNARY},
    **{name: _zip_writer(name) for name in BINARY},
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(SEPARABLE, _separable),
}
"""How each operation of ATen is written, by its name."""

"""The head as a torch operator with autograd, whatever computes it.

`forward_backward` does everything in one pass: the weights are known before it, so the gradient needs no second visit.
`stemma::sva_head` is the same as an operator that autograd knows; `accumulating_loss` adds the head's gradient to a buffer
instead of returning it, so that nothing of the size [V, H] is made.
"""
import torch

from ..build import emulated_library
from . import cpu, dense
from .gpu import KERNEL_DESIGNS, kernel
from .hot import hot_rows
from .interface import AS_ROWS, FROZEN, HeadGradient, Implementation, Inputs, Outputs, check_shapes

IMPLEMENTATIONS: dict[str, Implementation] = {
    "dense": dense.dense, "chunked": dense.chunked, "compaction": dense.compaction, "gather-cpu": cpu.gather,
    **{f"gather-{design}": kernel(design) for design in KERNEL_DESIGNS}, "hot-rows": hot_rows(),
    **{f"emulated-{design}": kernel(design, emulated_library) for design in KERNEL_DESIGNS}, "emulated-hot-rows": hot_rows(emulated_library, 3),
}


def forward_backward(inputs: Inputs, implementation: str, gradient: HeadGradient = AS_ROWS) -> Outputs:
    """Loss, dX and the head's gradient. ValueError for shapes; InputProblem names the position of a bad number."""
    check_shapes(inputs, gradient)
    with torch.no_grad():
        return IMPLEMENTATIONS[implementation](inputs, gradient)


@torch.library.custom_op("stemma::sva_head", mutates_args=())
def sva_head(
    hidden: torch.Tensor, head: torch.Tensor, ids: torch.Tensor, teacher: torch.Tensor, weight: torch.Tensor,
    temperature: torch.Tensor | None, sampled: torch.Tensor | None, head_gradient: bool, implementation: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """→ Σ w·ℓ (differentiable in hidden and head), then the fields of Outputs, which are constants."""
    inputs = Inputs(hidden.detach(), head.detach(), ids, teacher, weight, temperature, sampled)
    outputs = forward_backward(inputs, implementation, HeadGradient(rows=head_gradient))
    return (weight * outputs.loss).sum(), *outputs


@sva_head.register_fake
def _(hidden, head, ids, teacher, weight, temperature, sampled, head_gradient, implementation):
    def per_position():
        return torch.empty_like(weight)

    unique = torch.library.get_ctx().new_dynamic_size() if head_gradient else 0
    return (
        weight.new_empty(()), per_position(), torch.empty_like(hidden), torch.empty_like(teacher), per_position(), per_position(),
        ids.new_empty(unique, dtype=torch.int64), weight.new_empty(unique, hidden.shape[1]),
    )


def _setup_context(ctx, inputs, output):
    _, _, grad_hidden, _, _, _, head_ids, head_rows = output
    ctx.save_for_backward(grad_hidden, head_ids, head_rows)
    ctx.head_shape, ctx.head_dtype, ctx.head_gradient = inputs[1].shape, inputs[1].dtype, inputs[7]
    ctx.mark_non_differentiable(*output[1:])


def _backward(ctx, grad_total, *_):
    grad_hidden, head_ids, head_rows = ctx.saved_tensors
    grad_head = None
    if ctx.needs_input_grad[1]:
        if not ctx.head_gradient:
            raise RuntimeError("stemma::sva_head ran with a frozen head, but the head requires a gradient: pass head_gradient=True")
        grad_head = head_rows.new_zeros(ctx.head_shape).index_copy(0, head_ids, head_rows * grad_total).to(ctx.head_dtype)
    return (grad_hidden * grad_total).to(grad_hidden.dtype), grad_head, None, None, None, None, None, None, None


sva_head.register_autograd(_backward, setup_context=_setup_context)


class _Accumulating(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, inputs, implementation, gradient):
        outputs = forward_backward(inputs, implementation, gradient)
        ctx.save_for_backward(outputs.grad_hidden)
        constants = (outputs.loss, outputs.support_lse, outputs.sampled_logit)
        ctx.mark_non_differentiable(*constants)
        return (inputs.weight * outputs.loss).sum(), *constants

    @staticmethod
    def backward(ctx, grad_total, *_):
        # What went into the buffer was not scaled.
        torch._assert_async(grad_total == 1)
        return ctx.saved_tensors[0], None, None, None


def accumulating_loss(inputs: Inputs, implementation: str, into: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """→ Σ w·ℓ with a gradient to inputs.hidden, loss [T], support_lse [T], sampled_logit [T].

    The head's gradient is added to `into` [V, H] at once (None: a frozen head, or no gradients wanted); `backward` must then be
    called with 1, as on a loss that is only added to others.
    """
    constants = Inputs(*(t if t is None else t.detach() for t in inputs))
    gradient = HeadGradient(rows=False, into=into) if into is not None and torch.is_grad_enabled() else FROZEN
    return _Accumulating.apply(inputs.hidden, constants, implementation, gradient)

r"""A GPT-2 that learns in context: pairs :math:`(x_1, y_1), \dots, (x_n, y_n)` and a question :math:`x`, to an answer.

Every row becomes two tokens, a question and then its answer, and the model predicts :math:`y_i` where it reads question
:math:`i`, from the rows before it. Two layouts:

* ``"order-free"``: tokens :math:`(x_i, 0, 1)` and :math:`(x_i, y_i, 0)` through one linear map, no positions. The
  answer's token carries :math:`x_i`, so nothing has to be copied from the token before; a prompt may have any length.
* ``"interleaved"``: tokens :math:`x_i` and :math:`(y_i, 0, \dots, 0)` with learned positions, as in Garg et al. (2022),
  "What can transformers learn in-context?"; a prompt has at most ``max_rows`` rows.

The network between the tokens and the read-out is ``transformers.GPT2Model`` (Radford et al., 2019).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from testtime.errors import InputError, MissingExtra, StoreError, nearest, sentence
from testtime.models.gpt_files import CONFIG, WEIGHTS, read_model, write_model

__all__ = ["LAYOUTS", "GPTConfig", "InContextGPT"]

LAYOUTS = ("order-free", "interleaved")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model.

    Attributes
    ----------
    dim
        Inputs d of a row.
    width, n_layer, n_head
        Width of the network, its layers, and the heads of a layer; heads divide the width.
    layout
        One of :data:`LAYOUTS`.
    max_rows
        Longest prompt in rows, the question included; None for any, which the interleaved layout cannot have.
    """

    dim: int
    width: int = 64
    n_layer: int = 2
    n_head: int = 4
    layout: str = "order-free"
    max_rows: int | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            remedy = nearest(self.layout, LAYOUTS)
            raise InputError(sentence(f"layout={self.layout!r}", expected="a known layout", remedy=remedy))
        for name in ("dim", "width", "n_layer", "n_head"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(sentence(f"{name}={value!r}", expected="an integer of at least 1"))
        if self.width % self.n_head:
            raise InputError(
                sentence(
                    f"width={self.width} with n_head={self.n_head}", expected="heads that divide the width"
                )
            )
        if self.layout == "interleaved" and self.max_rows is None:
            raise InputError(
                sentence(
                    "max_rows=None with layout='interleaved'",
                    expected="a number of rows",
                    why="each position has a vector of its own",
                )
            )
        longest = self.max_rows
        if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 1):
            raise InputError(sentence(f"max_rows={longest!r}", expected="an integer of at least 1, or None"))


class InContextGPT(nn.Module):
    """A regressor that reads its training rows as a prompt.

    Weights are drawn from torch's global generator; seed it, or load them with :meth:`from_pretrained`.

    >>> model = InContextGPT(GPTConfig(dim=3, width=8, n_layer=1, n_head=2))
    >>> X, y, questions = torch.randn(2, 5, 3), torch.randn(2, 5), torch.randn(2, 4, 3)
    >>> model(X, y).shape, model.answer(X, y, questions).shape
    (torch.Size([2, 5]), torch.Size([2, 4]))
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        try:
            from transformers import GPT2Config, GPT2Model
        except ImportError as error:
            raise MissingExtra(
                sentence(
                    "transformers is not installed",
                    why="the model is its GPT2Model",
                    remedy="pip install 'testtime[gpt2]'",
                )
            ) from error
        self.config = config
        positions = 1 if config.max_rows is None or self._free else 2 * config.max_rows
        self.gpt = GPT2Model(
            GPT2Config(
                vocab_size=1,  # tokens are embedded here, not looked up
                n_positions=positions,
                n_embd=config.width,
                n_layer=config.n_layer,
                n_head=config.n_head,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                activation_function="gelu_pytorch_tanh",  # the numbers of "gelu_new", in one operation
                bos_token_id=None,
                eos_token_id=None,
                attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]: taken, but not in its signature
            )
        )
        nn.init.zeros_(self.gpt.wte.weight).requires_grad_(False)
        if self._free:  # every token is at position 0, whose vector is zero
            nn.init.zeros_(self.gpt.wpe.weight).requires_grad_(False)
        self.embed = nn.Linear(config.dim + 2 if self._free else config.dim, config.width)
        self.readout = nn.Linear(config.width, 1)

    @property
    def _free(self) -> bool:
        return self.config.layout == "order-free"

    # B=prompts  N=rows of a prompt  Q=questions  D=inputs  T=tokens  E=width

    def forward(self, x_BND: Tensor, y_BN: Tensor) -> Tensor:
        """Predict each row from the rows before it, ``(B, N, D), (B, N) -> (B, N)``; no row sees its own answer."""
        self._check(x_BND, y_BN)
        n_rows = self._check_rows(y_BN, least=1)
        tokens_BTE = self._pairs(x_BND, y_BN)
        hidden_BTE = self._run(tokens_BTE, _causal(2 * n_rows, tokens_BTE), torch.arange(2 * n_rows))
        return self.readout(hidden_BTE[:, 0::2])[..., 0]

    def answer(self, x_BND: Tensor, y_BN: Tensor, questions_BQD: Tensor) -> Tensor:
        """Predict questions from a prompt, ``(B, N, D), (B, N), (B, Q, D) -> (B, Q)``; each sees the prompt alone."""
        self._check(x_BND, y_BN)
        n_rows = self._check_rows(y_BN, more=1)
        self._check_values(questions=questions_BQD)
        if (
            questions_BQD.ndim != 3
            or questions_BQD.shape[::2] != x_BND.shape[::2]
            or not questions_BQD.shape[1]
        ):
            raise InputError(
                sentence(
                    f"questions of shape {tuple(questions_BQD.shape)}",
                    expected=f"({x_BND.shape[0]}, Q, {self.config.dim}) with Q of at least 1",
                    why="there are as many prompts, and the model was made for this many inputs",
                )
            )
        n_questions = questions_BQD.shape[1]
        tokens_BTE = torch.cat([self._pairs(x_BND, y_BN), self._questions(questions_BQD)], dim=1)
        mask_TT = _causal(tokens_BTE.shape[1], tokens_BTE)
        mask_TT[2 * n_rows :, 2 * n_rows :] = torch.eye(n_questions, dtype=torch.bool, device=mask_TT.device)
        positions_T = torch.cat([torch.arange(2 * n_rows), torch.full((n_questions,), 2 * n_rows)])
        hidden_BTE = self._run(tokens_BTE, mask_TT, positions_T)
        return self.readout(hidden_BTE[:, 2 * n_rows :])[..., 0]

    def _run(self, tokens_BTE: Tensor, mask_TT: Tensor, positions_T: Tensor) -> Tensor:
        if self._free:
            positions_T = torch.zeros_like(positions_T)
        output = self.gpt(
            inputs_embeds=tokens_BTE,
            attention_mask=mask_TT[None, None],
            position_ids=positions_T[None].to(tokens_BTE.device),
            use_cache=False,
        )
        return output.last_hidden_state

    def _questions(self, x_BND: Tensor) -> Tensor:
        if not self._free:
            return self.embed(x_BND)
        zero_BN1 = torch.zeros_like(x_BND[..., :1])
        return self.embed(torch.cat([x_BND, zero_BN1, zero_BN1 + 1.0], dim=-1))

    def _answers(self, x_BND: Tensor, y_BN: Tensor) -> Tensor:
        y_BN1 = y_BN[..., None]
        if self._free:
            return self.embed(torch.cat([x_BND, y_BN1, torch.zeros_like(y_BN1)], dim=-1))
        return self.embed(torch.cat([y_BN1, torch.zeros_like(x_BND[..., 1:])], dim=-1))

    def _pairs(self, x_BND: Tensor, y_BN: Tensor) -> Tensor:
        """Question, answer, question, answer, ...: ``(B, 2N, E)``."""
        return torch.stack([self._questions(x_BND), self._answers(x_BND, y_BN)], dim=2).flatten(1, 2)

    def _check(self, x_BND: Tensor, y_BN: Tensor) -> None:
        """Refuse prompts that are none; the questions are checked where they are asked.

        Raises
        ------
        InputError
            For what is no finite tensor of the model's type and device, and for shapes that do not fit.
        """
        self._check_values(x=x_BND, y=y_BN)
        if (
            x_BND.ndim != 3
            or x_BND.shape[-1] != self.config.dim
            or x_BND.shape[:-1] != y_BN.shape
            or not len(x_BND)
        ):
            raise InputError(
                sentence(
                    f"a prompt of shapes {tuple(x_BND.shape)} and {tuple(y_BN.shape)}",
                    expected=f"(B, N, {self.config.dim}) and (B, N) with B of at least 1",
                    why="the model was made for this many inputs",
                )
            )

    def _check_values(self, **parts: Any) -> None:
        weight = self.embed.weight
        for name, value in parts.items():
            if not isinstance(value, Tensor):
                got, remedy = (
                    f"{name} is a {type(value).__name__}",
                    f"Pass torch.as_tensor({name}).to(model.readout.weight)",
                )
                raise InputError(sentence(got, expected="a tensor of torch", remedy=remedy))
            if value.dtype != weight.dtype or value.device != weight.device:
                raise InputError(
                    sentence(
                        f"{name} is of {value.dtype} on {value.device}",
                        expected=f"{weight.dtype} on {weight.device}, as the weights are",
                        remedy=f"Pass {name}.to(model.readout.weight)",
                    )
                )
            if not _is_finite(value):
                got = f"{name} holds values that are NaN or infinite"
                raise InputError(sentence(got, expected="finite numbers", remedy="Drop or replace them"))

    def _check_rows(self, y_BN: Tensor, *, least: int = 0, more: int = 0) -> int:
        """Return the rows of a prompt, which with `more` have to fit."""
        n_rows, longest = y_BN.shape[1], self.config.max_rows
        if n_rows < least:
            raise InputError(sentence(f"a prompt of {n_rows} rows", expected=f"at least {least}"))
        if longest is not None and n_rows + more > longest:
            raise InputError(
                sentence(
                    f"a prompt of {n_rows + more} rows",
                    expected=f"at most {longest}",
                    why="the model has no position beyond",
                    remedy="Pass fewer rows, or pretrain with a larger max_rows",
                )
            )
        return n_rows

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write ``model.safetensors`` and ``config.json``, which holds its sha256, into a folder.

        Parameters
        ----------
        folder
            Made if it is not there; a model in it is replaced, and who is stopped leaves the old one or the new one.
        dtype
            What the weights are stored in, a floating type; ``torch.float16`` halves the file.

        Raises
        ------
        InputError
            When a weight is NaN or infinite, or too large for `dtype`.
        StoreError
            When the folder cannot be written.
        """
        if not dtype.is_floating_point:
            raise InputError(sentence(f"dtype={dtype}", expected="a floating type such as torch.float16"))
        target, settings = _folder(folder), dataclasses.asdict(self.config)
        # The settings are among the bytes that are hashed: heads, for one, leave no trace in the shapes of the tensors.
        payload = save_tensors(
            {name: _finite_as(dtype, name, value) for name, value in self._stored().items()},
            metadata={"config": json.dumps(settings)},
        )
        write_model(target, settings, payload)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> InContextGPT:
        """Load a model that :meth:`save_pretrained` wrote, in float32.

        Raises
        ------
        InputError
            When `folder` names no place.
        StoreError
            When a file is missing, damaged or changed, or its tensors do not have the shapes that its config says, or
            are not of a floating type.
        """
        source = _folder(folder)
        described, payload = read_model(source)
        known = {field.name for field in dataclasses.fields(GPTConfig)}
        for key in sorted(set(described) - known):
            raise StoreError(
                sentence(f"{source / CONFIG} has the setting {key!r}", remedy=nearest(key, sorted(known)))
            )
        written = _written_settings(payload)
        if written not in (None, described):
            raise StoreError(
                sentence(
                    f"{source / CONFIG} says {described}, and {WEIGHTS} was written with {written}",
                    why=f"{CONFIG} was changed",
                    remedy=f"Write these settings back into {CONFIG}, or copy both files again",
                )
            )
        try:
            config = GPTConfig(**described)
            tensors = load_tensors(payload)
        except (TypeError, InputError, SafetensorError) as error:
            raise StoreError(sentence(f"{source} holds no model of this library: {error}")) from error
        with torch.random.fork_rng(devices=[]):  # random weights are drawn and then replaced
            model = cls(config).float()  # torch's default type may be another
        own = model._stored()
        for name, value in tensors.items():
            if not value.dtype.is_floating_point:
                raise StoreError(
                    sentence(
                        f"{source}: tensor {name!r} is of type {value.dtype}", expected="a floating type"
                    )
                )
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        wanted = {name: tuple(value.shape) for name, value in own.items()}
        for name in sorted(set(found) | set(wanted)):
            if found.get(name) != wanted.get(name):
                raise StoreError(
                    sentence(
                        f"{source}: tensor {name!r} has shape {found.get(name)}",
                        expected=f"{wanted.get(name)}",
                        why=f"of a model with {dataclasses.asdict(config)}",
                    )
                )
        model.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
        return model

    def _stored(self) -> dict[str, Tensor]:
        """Return the tensors that are not fixed at zero."""
        zero = ("gpt.wte.", "gpt.wpe.") if self._free else ("gpt.wte.",)
        return {name: value.detach() for name, value in self.named_parameters() if not name.startswith(zero)}


def _is_finite(value: Tensor) -> bool:
    try:
        return bool(value.detach().isfinite().all())
    except RuntimeError:  # torch.vmap: values of many prompts at once cannot be asked for
        return True


def _folder(folder: Any) -> Path:
    try:
        return Path(folder)
    except TypeError:
        raise InputError(sentence(f"folder={folder!r:.60}", expected="the name of a folder")) from None


def _finite_as(dtype: torch.dtype, name: str, value: Tensor) -> Tensor:
    """Return a weight in the type that it is stored in, refusing what does not survive."""
    stored = value.to(dtype).contiguous()
    if stored.double().isfinite().all():
        return stored
    broken = int((~value.double().isfinite()).sum())
    if broken:
        got, remedy = f"{broken} entries of {name!r} are NaN or infinite", "Pretrain again with a lower rate"
    else:
        got = f"{name!r} holds {value.double().abs().max():.6g}, too large for {dtype}"
        remedy = "Pass dtype=torch.float32"
    raise InputError(sentence(got, expected="weights that can be loaded again", remedy=remedy))


def _written_settings(payload: bytes) -> dict[str, object] | None:
    """Settings in the header of a safetensors file; None where it was written without."""
    length = int.from_bytes(payload[:8], "little")
    try:
        header = json.loads(payload[8 : 8 + length])
        return json.loads(header["__metadata__"]["config"])
    except (KeyError, TypeError, ValueError):
        return None


def _causal(n_tokens: int, like: Tensor) -> Tensor:
    return torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=like.device).tril()

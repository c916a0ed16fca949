"""Formulas behind the linear figures, each a few percent wrong: what :mod:`benchmarks.mutation_claims` tries."""

from __future__ import annotations

from benchmarks.mutation_claims import Mutant

_L = "testtime.theory.linear"
SCALAR = ("linear-context", "linear-start", "linear-reduction")  # white inputs, isotropic tasks
MATRIX = ("linear-alignment", "linear-covariance", "linear-shift")  # diagonal covariances

MUTANTS = [
    # the pretraining optimum
    Mutant(f"{_L}.pretraining._warm_scalar", "Start(prior / scale", "Start(1.03 * prior / scale", ("linear-context",)),
    Mutant(f"{_L}.pretraining._warm_scalar", "Start(prior / scale", "Start(0.9 * prior / scale", ("linear-context",)),
    Mutant(f"{_L}.pretraining._warm_scalar", "(n + 1.0) * power", "1.1 * (n + 1.0) * power", ("linear-context",)),
    Mutant(f"{_L}.pretraining._warm_scalar", "label = d * power", "label = 1.1 * d * power", ("linear-context",)),
    Mutant(f"{_L}.pretraining._warm_matrix", "Start(prior / scale, label", "Start(1.03 * prior / scale, label", ("linear-alignment",)),
    Mutant(f"{_L}.pretraining._warm_matrix", "rows * spectrum * prior + label", "rows * spectrum * prior + 1.1 * label", ("linear-alignment",)),
    Mutant(f"{_L}.pretraining._warm_matrix", "rows * spectrum * prior + label", "0.95 * rows * spectrum * prior + label", ("linear-alignment",)),
    # the risk before the step
    Mutant(f"{_L}.pretraining.scalar_risk", "rows * weight**2", "1.03 * rows * weight**2", SCALAR),
    Mutant(f"{_L}.pretraining.scalar_risk", "(signal + setting.dim", "(1.25 * signal + setting.dim", ("linear-context",)),
    Mutant(f"{_L}.pretraining.scalar_risk", "noise + signal * start", "noise + 1.03 * signal * start", SCALAR),
    Mutant(f"{_L}.pretraining.scalar_risk", "noise + signal", "1.1 * noise + signal", ("linear-steps",)),
    Mutant(f"{_L}.pretraining.matrix_risk", "variance * rows", "1.03 * variance * rows", MATRIX),
    Mutant(f"{_L}.pretraining.matrix_risk", "label * product_trace", "0.9 * label * product_trace", MATRIX),
    Mutant(f"{_L}.pretraining.matrix_risk", "task.form(transpose(bias)", "1.03 * task.form(transpose(bias)", MATRIX),
    # one step, white inputs
    Mutant(f"{_L}.isotropic.fresh_fixed", "linear = n * m", "linear = 1.03 * n * m", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "linear = n * m", "linear = 0.97 * n * m", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "(d - 1.0) * (s * w) ** 2", "1.25 * (d - 1.0) * (s * w) ** 2", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "d * (square + v * length)", "1.03 * d * (square + v * length)", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "d * (square + v * length)", "0.95 * d * (square + v * length)", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "return Coefficients(linear, square,", "return Coefficients(linear, 1.1 * square,", SCALAR),
    Mutant(f"{_L}.isotropic.fresh_fixed", "toward, rest = m * ((m + 1.0) * b + s)", "toward, rest = 1.05 * m * ((m + 1.0) * b + s)", SCALAR),
    # one step, any covariance
    Mutant(f"{_L}.general._fresh_linear", "(step.rows * step.eval_rows)", "(1.03 * step.rows * step.eval_rows)", MATRIX),
    Mutant(f"{_L}.general._fresh_linear", "law.label * law.label *", "1.25 * law.label * law.label *", MATRIX),
    Mutant(f"{_L}.general._fresh_linear", "value = form(spectrum, right", "value = 1.05 * form(spectrum, right", MATRIX),
    Mutant(f"{_L}.general.fresh_fixed", "trace * task.mean(product(spectrum)", "1.03 * trace * task.mean(product(spectrum)", MATRIX),
    Mutant(f"{_L}.general.fresh_fixed", "task.mean(product(twice))", "1.1 * task.mean(product(twice))", MATRIX),
    Mutant(f"{_L}.general.fresh_fixed", "length * step.noise", "1.25 * length * step.noise", ("linear-covariance",)),
    Mutant(f"{_L}.general.fresh_fixed", "high, low = m * (m + 1), label * m", "high, low = m * (m + 1), 1.2 * label * m", MATRIX),
    Mutant(f"{_L}.general.fresh_fixed", "size_trace * rest.mean(1)", "1.1 * size_trace * rest.mean(1)", MATRIX),
    Mutant(f"{_L}.general.fresh_fixed", "size_mean * rest.mean(2)", "1.05 * size_mean * rest.mean(2)", MATRIX),
    # the parabola
    Mutant(f"{_L}.step.assemble", "whole = (k + 1.0) * square", "whole = k * square", ("linear-context", "linear-start")),
    Mutant(f"{_L}.step.assemble", "linear / (2.0 * whole), 0.0)", "linear / (2.1 * whole), 0.0)", SCALAR + MATRIX),
    Mutant(f"{_L}.step.assemble", "-4.0 * k * linear", "-4.12 * k * linear", SCALAR + MATRIX),
    Mutant(f"{_L}.step.assemble", "8.0 * k * whole", "7.7 * k * whole", SCALAR + MATRIX),
    Mutant(f"{_L}.step.assemble", "limit * (half / (k + half))", "limit * (half / (1.03 * k + half))", SCALAR + MATRIX),
    # where the better start changes, and the best scale
    Mutant(f"{_L}.crossing.cross", "first = crossings[0] if", "first = 1.25 * crossings[0] if", ("linear-start", "linear-alignment", "linear-covariance")),
    Mutant(f"{_L}.crossing.cross", "first = crossings[0] if", "first = 0.97 * crossings[0] if", ("linear-start", "linear-alignment", "linear-covariance")),
    Mutant(f"{_L}.crossing._polynomial", "high = lead - gain_c", "high = 1.1 * lead - gain_c", ("linear-start", "linear-alignment", "linear-covariance")),
    Mutant(f"{_L}.crossing._polynomial", "lead * half_w * half_c if", "1.05 * lead * half_w * half_c if", ("linear-start", "linear-alignment", "linear-covariance")),
    Mutant(f"{_L}.transition.best_scaled_start", "(size_slope**2 / size_curvature / 2)", "(size_slope**2 / size_curvature / 1.8)", ("linear-start", "linear-shift")),
    Mutant(f"{_L}.transition.best_scaled_start", "change = before.deriv()", "change = 1.1 * before.deriv()", ("linear-start", "linear-shift")),
    # limits
    Mutant(f"{_L}.limits.icl_risk_limit", "(1 + v) / (alpha", "(1.03 + v) / (alpha", ("linear-context",)),
    Mutant(f"{_L}.limits.gain_limit", "return gamma * (1 + v) ** 2", "return 1.04 * gamma * (1 + v) ** 2", ("linear-context", "linear-reduction")),
    Mutant(f"{_L}.limits.gain_limit", "h = (1 + gamma) * (1 + v)", "h = (1 + 1.1 * gamma) * (1 + v)", ("linear-context", "linear-reduction")),
    Mutant(f"{_L}.limits.transition_limit", "(1 + alpha) ** 2 / (2 + alpha)", "(1 + alpha) ** 2 / (2.1 + alpha)", ("linear-start",)),
    Mutant(f"{_L}.limits.smallest_context_limit", "float(1 / z - 1)", "float(1 / (1.03 * z) - 1)", ("linear-reduction",)),
    Mutant(f"{_L}.limits.smallest_context_limit", "-1.5 * t", "-1.6 * t", ("linear-reduction",)),
    Mutant(f"{_L}.limits.one_step_limit", "strong * fit.bias2, strong", "1.03 * strong * fit.bias2, strong", ("linear-covariance",)),
    Mutant(f"{_L}.limits.one_step_limit", "fit.trace2 * risk\n    # the", "1.05 * fit.trace2 * risk\n    # the", ("linear-covariance",)),
    Mutant(f"{_L}.bias_variance.alignment", "variances = [float(n)", "variances = [1.05 * float(n)", ("linear-covariance",)),
    # shorter contexts
    Mutant(f"{_L}.sample_complexity.smallest_context", "target *= 1 + _ROUNDING", "target *= 1.03", ("linear-reduction",)),
    Mutant(f"{_L}.sample_complexity.smallest_context", "return int(lengths[np.argmax(reached)])", "return int(1.05 * lengths[np.argmax(reached)])", ("linear-reduction",)),
    Mutant(f"{_L}.sample_complexity._plain_length", "label, signal = setting.dim * prior", "label, signal = 1.1 * setting.dim * prior", ("linear-reduction",)),
    # several steps
    Mutant(f"{_L}.filters.filter_coefficients", "-length * c", "-1.03 * length * c", ("linear-steps",)),
    Mutant(f"{_L}.filters.Reading.risk", "2 * self.linear", "2.1 * self.linear", ("linear-steps",)),
    Mutant(f"{_L}.filters.Reading.risk", "self.square * psi", "self.square * psi * 1.05", ("linear-steps",)),
    Mutant(f"{_L}.filters.Reading.risk", "self.noise * chi", "self.noise * chi * 1.25", ("linear-steps",)),
    Mutant(f"{_L}.filters.reading", "noise * setting.dim, setting.dim", "noise * (setting.dim + 5), setting.dim", ("linear-steps",)),
    Mutant(f"{_L}.filters.best_filter", "seen.noise * moments[i + j + 1]", "seen.noise * moments[i + j + 1] * 1.2", ("linear-steps",)),
    Mutant(f"{_L}.filters.best_filter", "[seen.linear * moments[i + 1]]", "[seen.linear * moments[i + 1] * 1.03]", ("linear-steps",)),
    Mutant(f"{_L}.wishart._moment", "total = (rows + low)", "total = (rows + low + 4)", ("linear-steps",)),
    Mutant(f"{_L}.wishart.narayana", "ratio**r for r", "(1.03 * ratio) ** r for r", ("linear-steps",)),
    Mutant(f"{_L}.normalized.fresh_normalized_scalar", "return Coefficients(linear, square, dim", "return Coefficients(1.1 * linear, square, dim", ("linear-steps",)),
    Mutant(f"{_L}.normalized.fresh_normalized_scalar", "return Coefficients(linear, square, dim", "return Coefficients(linear, 1.25 * square, dim", ("linear-steps",)),
    Mutant(f"{_L}.normalized.fresh_normalized_scalar", "noise * size), np", "1.25 * noise * size), np", ("linear-steps",)),
    Mutant(f"{_L}.normalized._gamma_ratio", "return 1.0 / (n - 2.0)", "return 1.25 / (n - 2.0)", ("linear-steps",)),
    Mutant(f"{_L}.filter_limits.several_steps_fresh_limit", "bent = moved**2", "bent = 1.1 * moved**2", ("linear-steps",)),
    Mutant(f"{_L}.filter_limits.several_steps_fresh_limit", "share = setting.n_context * size /", "share = 1.05 * setting.n_context * size /", ("linear-steps",)),
]  # fmt: skip

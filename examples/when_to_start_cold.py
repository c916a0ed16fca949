"""When does training from zero beat training from the pretrained weights? Exact theory, no data.

python examples/when_to_start_cold.py
"""

from testtime.theory.linear import Setting, one_step, start_transition

for n_context in (15, 30, 60, 120):
    setting = Setting(n_context=n_context, n_train=60, dim=60, task=60.0, task_cov=1.0)
    warm, cold = one_step(setting, start="warm"), one_step(setting, start="cold")
    flip = start_transition(setting).n_train
    print(
        f"n = {n_context:3d}: with 60 training rows, risk {warm.best_risk / 60:.3f} from W*, "
        f"{cold.best_risk / 60:.3f} from zero; zero is better beyond {flip:.0f} rows"
    )

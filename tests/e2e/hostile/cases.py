"""All hostile cases by name. `cases.py` prints the names, one a line."""
import cases_chunks
import cases_flow
import cases_framing
import cases_head
import cases_target
from case import TAG_FORM, Kit

MODULES = (cases_framing, cases_chunks, cases_head, cases_target, cases_flow)


def all_cases(tag, token):
    """group.name -> Case, in a fixed order."""
    found = {}
    for module in MODULES:
        for group, make in module.GROUPS.items():
            for case in make(Kit(tag, token)):
                name = f"{group}.{case.name}"
                if name in found:
                    raise ValueError(f"two cases are called {name}")
                found[name] = case
    return found


def one_case(name, tag, token):
    group, _, leaf = name.partition(".")
    [make] = [module.GROUPS[group] for module in MODULES if group in module.GROUPS]
    [case] = [case for case in make(Kit(tag, token)) if case.name == leaf]
    return case


if __name__ == "__main__":
    print("\n".join(all_cases(TAG_FORM, "token")))

"""The model card: what a user of the packaged model needs to know, from the run's own numbers.

Markdown with the metadata header that model hubs read.
"""

from typing import Any

import jinja2

from tunegate.models.manifest import AuxiliaryModelRecord
from tunegate.params import Params
from tunegate.repository.lineage import Lineage

_CARD = """\
---
license: {{ base.license }}
base_model: {{ base.model }}
library_name: {{ "transformers" if whole else "peft" }}
pipeline_tag: text-{{ "classification" if params.train.technique == "classify" else "generation" }}
---

# {{ params.score.name }}

`{{ base.model }}` ({{ base.license }}), fine-tuned by tunegate.
Technique {{ params.train.technique }}, adapter {{ params.train.adapter }}\
{{ "" if params.train.adapter in ("full", "head") else " (rank %d)" % params.train.rank }}.
{%- for role, record in auxiliary_models | dictsort %}
Its {{ role }} was `{{ record.name }}` ({{ record.license }}).
{%- endfor %}

Lineage key: `{{ lineage.key }}`

## Measured

On {{ metrics.rows }} test examples that share no group with the training rows:

| metric | untuned base | tuned |
|---|---|---|
{% for name in metrics.tuned | sort if metrics.tuned[name] is number -%}
| {{ name }} | {{ "%.4f" % metrics.base[name] }} | {{ "%.4f" % metrics.tuned[name] }} |
{% endfor %}
## Intended use and limits

It answers in the form of its training rows, in the context those rows come from; outside of it the answers were not
measured. Slices with few rows and every other number are in `manifest.json`. The numbers are of the merged model in
full precision{{ "." if whole else "; the exported weights (`model.gguf`, %s) round them." % params.package.export }}

## Made of

| part | sha256 |
|---|---|
{% for name, value in lineage.parts | dictsort -%}
| {{ name }} | `{{ value }}` |
{% endfor %}
## Use

{% if whole -%}
transformers loads this folder as a model and a tokenizer. `adapter/` is what training left, for the base model.
{%- else -%}
`bentoml serve` in the repository serves this folder behind an OpenAI-compatible API. `adapter/` is a PEFT adapter for
the base model; merge it in fp32.
{%- endif %}
"""


def card(
    params: Params,
    lineage: Lineage,
    base: dict[str, Any],
    auxiliary_models: dict[str, AuxiliaryModelRecord],
    metrics: dict[str, Any],
) -> str:
    """The card's text. `base` is the base model's provenance record, `metrics` the content of reports/metrics.json."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown, from our own numbers
    whole = params.package.export == "safetensors"
    names = {"auxiliary_models": auxiliary_models, "metrics": metrics}
    values = {"whole": whole, "params": params, "lineage": lineage.model_dump(), "base": base, **names}
    return environment.from_string(_CARD).render(values)

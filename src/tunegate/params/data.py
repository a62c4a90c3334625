"""The sections of the data stages: ingest, validate, prepare, tokenize."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunegate.params.closed import Closed, Count, Split

PersonalKind = Literal[
    "email", "phone", "iban", "credit_card", "ip_address", "national_id", "person", "location", "organization"
]


class Ingest(Closed):
    """From the sources to canonical rows."""

    limit: Count | None = None
    """Keep only the first N rows of each source; for trying things out. null keeps all."""


class Validate(Closed):
    """Great Expectations over the ingested rows."""

    suite: str = "questions"
    """data/expectations/<suite>.json."""
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Stop when more than this share of the rows fails an expectation of severity warning."""


class Mix(Closed):
    """How much of one source is used."""

    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its size relative to the other sources with a weight; the one that is shortest for its weight sets the scale."""
    cap: Count | None = None
    """At most this many rows of it."""


class PersonalData(Closed):
    """E-mail addresses, numbers and names of people in the rows."""

    action: Literal["keep", "drop", "mask", "tag"] = "mask"
    """keep the text (it is still counted), drop the row, put a placeholder such as [EMAIL], or a keyed tag such as
    [EMAIL_1f0c92d3], the same for the same value."""
    kinds: tuple[PersonalKind, ...] = ("email", "phone", "iban", "credit_card", "ip_address", "national_id")
    """What is looked for. person, location and organization need `model`."""
    model: bool = False
    """Also ask Presidio's language model (extra `personal-data`; English; some 100 rows a second)."""
    regions: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ("SE", "GB", "US")
    """Countries whose national telephone numbers are looked for (ISO 3166-1), the likeliest first."""
    key: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """Fingerprint of the secret TUNEGATE_PSEUDONYM_KEY that makes tags: without it, `prepare` prints it and stops."""


class Prepare(Closed):
    """Cleaning, deduplication, personal data and splits."""

    repair_text: bool = True
    """Repair broken encodings (mojibake), control characters and stray white space."""
    strip_html: bool = False
    """Take HTML tags, scripts and comments out, and turn entities into characters."""
    min_characters: Annotated[int, Field(ge=0)] = 0
    """Drop a row whose question is shorter."""
    max_characters: Count | None = None
    """Drop a row whose question and answer together are longer. null keeps all."""
    max_repetition: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Drop a row in which runs of three words that occur before make up more than this share. 1 keeps all."""
    deduplicate: bool = True
    """Drop a row whose question and answer equal an earlier row's."""
    near_duplicates: Annotated[float, Field(ge=0.5, le=1)] | None = 0.9
    """Jaccard similarity of the words in runs of three from which a row is a near duplicate of an earlier one with the
    same answer, or leaks from one split into another. null looks for neither."""
    personal_data: PersonalData = PersonalData()
    """What happens to personal data."""
    secrets: Literal["keep", "drop", "mask"] = "drop"
    """What happens to a row with a password, a token or a private key in it."""
    mixture: dict[str, Mix] = Field(default={})
    """Source to how much of it is used. A source that is not named is used whole."""
    min_rows_per_label: Annotated[int, Field(ge=1)] = 2
    """Stop when a label has fewer rows: it cannot be learned and tested. Applies to rows with a label."""
    label_noise: bool = False
    """Report rows whose label a cross-validated model finds unlikely (cleanlab), in label_issues.json."""
    valid_share: Split = 0.1
    """Share of the groups that go to the validation split."""
    test_share: Split = 0.2
    """Share of the groups that go to the test split."""
    stratify: bool = False
    """Give every label its shares, as nearly as groups allow. Rows added later may then move old ones."""
    split_key: str = Field(default="permit-helpdesk", min_length=1)
    """Key of the hash that assigns a group to its split. Another key is another, equally good, split."""
    test_set: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """sha256 of data/frozen/test.json, by `tunegate data freeze`: the test split is then these rows and no others."""

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "Prepare":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("test_share + valid_share must be less than 1")
        return self


class Augment(Closed):
    """One kind of augmentation: training rows made from training rows."""

    kind: Literal["typo", "swap", "delete", "template", "back_translation"]
    """Letters mistyped, neighbouring words swapped, words deleted, the question put into a template, or translated and
    back by `base.translator`."""
    copies: Count = 1
    """Rows made from each row."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Share of the letters or words of the question that are changed."""
    templates: tuple[str, ...] = ()
    """template: texts with {text} in them. back_translation: the two prompts, there and back."""

    @model_validator(mode="after")
    def _names_what_its_kind_needs(self) -> "Augment":
        needs = {"template": "at least one text in templates", "back_translation": "two prompts in templates"}
        count = len(self.templates)
        enough = {"template": count > 0, "back_translation": count == len(("there", "back"))}
        if not enough.get(self.kind, count == 0):
            raise ValueError(f"{needs.get(self.kind, 'no templates')} with kind {self.kind} (got {count})")
        if any("{text}" not in template for template in self.templates):
            raise ValueError("templates with {text} in each, which stands for the question")
        if self.kind in needs and "rate" in self.model_fields_set:
            raise ValueError(f"no rate with kind {self.kind}: it has no effect")
        if self.kind == "back_translation" and self.copies > 1:
            raise ValueError("one copy with kind back_translation: a greedy translator gives the same text each time")
        return self


class Tokenize(Closed):
    """From rows to token ids and the mask of what is trained on."""

    max_length: Annotated[int, Field(ge=8)] = 256
    """Longest example, in tokens, prompt and answer together."""
    over_length: Literal["drop", "truncate", "split", "error"] = "drop"
    """What happens to a longer one: drop the row, cut its end, go on in a further example (raw text only), or stop."""
    turns: Literal["last", "all"] = "last"
    """What of a conversation is trained on: its last answer, or every answer of the assistant."""
    augment: tuple[Augment, ...] = ()
    """Rows made of the training rows, each with its parent's id in data/tokens/augmented.parquet."""

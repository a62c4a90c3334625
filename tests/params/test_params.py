from tunegate.params import Params


def test_every_key_has_a_documented_meaning() -> None:
    for section in Params.model_fields.values():
        model = section.annotation
        assert model is not None
        assert model.__doc__
        for key, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{model.__name__}.{key}"

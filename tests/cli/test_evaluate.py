def test_a_folder_holds_one_evaluation_and_no_other_run(tmp_path):
    one = prepared(tmp_path / "run")
    open_evaluation(one)
    folder = open_evaluation(one).folder  # the same one goes on
    for other in (prepared(tmp_path / "run", model="b"), replace(one, plugin_names=("r1ci", "mine"))):
        with pytest.raises(RecipeError, match="holds another run"):
            open_evaluation(other)
    folder.recipe.unlink()
    with pytest.raises(RecipeError, match="holds another run"):
        open_evaluation(one)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineProblem, match="cannot be written") as raised:
        open_evaluation(prepared(tmp_path / "file" / "run"))
    assert "output_dir" in raised.value.fix

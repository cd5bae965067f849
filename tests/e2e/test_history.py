"""`veza-nb history`, and the templates as YAML."""

from tests.e2e.conftest import Application


def test_history_tells_of_every_revision_and_changes_nothing(broken: Application) -> None:
    generation = broken.generation

    done = broken.veza_nb("history")

    assert done.code == 0, done.stderr
    assert "Recommended: go back to revision 2" in done.stdout
    assert "of 2 replicas" in done.stdout
    assert "restart" in done.stdout
    assert broken.generation == generation


def test_what_differs_between_two_revisions_is_shown_in_words_and_as_yaml(
    broken: Application,
) -> None:
    done = broken.veza_nb("history", "--diff", "3", "2")

    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "    - " + broken.images.bad in lines
    assert "-    image: " + broken.images.bad in lines
    assert "+    image: " + broken.images.good in lines
    assert "\x1b" not in done.stdout


def test_a_revision_that_is_not_there_is_refused_by_name(broken: Application) -> None:
    done = broken.veza_nb("history", "--diff", "3", "99")
    wrong = broken.veza_nb("history", "--diff", "0", "3")

    assert (done.code, wrong.code) == (3, 2)
    assert "There is no revision 99." in done.stderr


def test_a_plan_shows_the_yaml_where_it_is_asked_for(broken: Application) -> None:
    short, long = broken.veza_nb("plan"), broken.veza_nb("plan", "--diff")

    assert (short.code, long.code) == (0, 0), short.stderr + long.stderr
    assert "As YAML (1 line goes, 1 comes): the same command with --diff." in short.stdout
    assert "+    image: " + broken.images.good in long.stdout.splitlines()
    assert "+    image: " not in short.stdout

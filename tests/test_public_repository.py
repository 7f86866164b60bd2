"""What people expect of a public repository says the same as the code: workflow, issue form, citation, changelog."""

import ast
import re

import pytest
import yaml

import mmdet3d_plugin


@pytest.fixture
def text(repo_root):
    return lambda name: (repo_root / name).read_text()


@pytest.fixture
def job(text):
    workflow = yaml.safe_load(text('.github/workflows/test.yml'))
    assert set(workflow[True]) == {'push', 'pull_request'}  # YAML reads the key "on" as a truth value
    (job,) = workflow['jobs'].values()
    return job


def test_the_workflow_runs_the_tested_pairs(job, text):
    (pairs,) = re.findall(r'^PAIRS = (.*)$', text('tools/matrix/pairs.py'), re.M)
    entries = job['strategy']['matrix']['include']
    assert [f'{entry["python"]}+{entry["torch"]}' for entry in entries] == list(ast.literal_eval(pairs))
    assert all(isinstance(value, str) for entry in entries for value in entry.values())  # 3.10 is not 3.1


def test_the_workflow_calls_what_runs_here(job, text, repo_root):
    (step,) = [step for step in job['steps'] if step.get('run') == '.ci/run']
    assert (repo_root / '.ci' / 'run').stat().st_mode & 0o111
    assert step['env'] == {
        'DUALDISTILL_PYTHON': 'python${{ matrix.python }}',
        'DUALDISTILL_TORCH': '${{ matrix.torch }}',
        'DUALDISTILL_DEVICE': 'cpu',
    }
    head = text('scripts/setup.sh').split('set -euo')[0]
    assert all(name in head for name in step['env'])
    (cache,) = [step['with'] for step in job['steps'] if 'cache' in step.get('uses', '')]
    assert cache['path'] == '.venv/.dualdistill/wheels' and '.venv/.dualdistill/wheels' in head
    files = re.findall(r"'([\w/.]+)'", re.search(r'hashFiles\((.*)\)', cache['key'])[1])
    assert len(files) == 3 and all((repo_root / name).is_file() for name in files)


def test_the_issue_form_asks_for_the_doctor(text, repo_root):
    form = yaml.safe_load(text('.github/ISSUE_TEMPLATE/bug.yml'))
    assert {'name', 'description', 'body'} <= set(form)
    fields = {part['id']: part for part in form['body'] if part['type'] != 'markdown'}
    assert all(field['attributes']['label'] for field in fields.values())
    doctor = fields['doctor']
    (command,) = re.findall(r'`python (\S+)`', doctor['attributes']['label'])
    assert (repo_root / command).is_file() and doctor['validations']['required'] is True


def test_the_citation_is_of_this_version_and_of_the_paper(text):
    citation = yaml.safe_load(text('CITATION.cff'))
    assert {'cff-version', 'message', 'title', 'authors'} <= set(citation)
    assert citation['version'] == mmdet3d_plugin.__version__
    assert citation['license'] == 'Apache-2.0' and 'Apache License' in text('LICENSE')
    paper = citation['preferred-citation']
    assert paper['title'] in ' '.join(text('README.md').split()) and paper['year'] == 2025


def test_the_changelog_has_this_version_below_what_is_unreleased(text):
    headings = re.findall(r'^## (.*)$', text('CHANGELOG.md'), re.M)
    assert headings[0] == 'Unreleased'
    assert re.fullmatch(rf'{re.escape(mmdet3d_plugin.__version__)} - \d{{4}}-\d\d-\d\d', headings[1])
    kinds = set(re.findall(r'^### (.*)$', text('CHANGELOG.md'), re.M))
    assert kinds <= {'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'}

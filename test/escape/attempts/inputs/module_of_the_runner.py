# tries: to replace modules that the runner imports, before and after the script, by input files
# protection: the runner imports by its own path, and nothing from the working directory
# request: {"files": [{"path": "traceback.py", "content": "raise SystemExit('mine')"}, {"path": "inspect.py", "content": "raise SystemExit('mine')"}, {"path": "resource.py", "content": "raise SystemExit('mine')"}, {"path": "runner/__init__.py", "content": "raise SystemExit('mine')"}, {"path": "sitecustomize.py", "content": "raise SystemExit('mine')"}], "args": {"a": 1}}
# inside: exception
def main(a):
    raise ValueError

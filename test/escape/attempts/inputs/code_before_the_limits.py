# tries: to run code of an input file, which a variable imports, before the limits are lowered
# protection: the runner sets the variables last, when all limits are in force
# request: {"files": [{"path": "early.py", "content": "import resource\nlimit = resource.getrlimit(resource.RLIMIT_FSIZE)\nsize = 0\nwith open('large', 'ab') as f:\n    try:\n        size = f.truncate(2 << 20)\n    except OSError:\n        pass\nclass Odd(Warning): pass\n"}], "env": {"PYTHONPATH": "/tmp", "PYTHONWARNINGS": "ignore::early.Odd"}}
# inside: [1048576,1048576,0]
import early


def main():
    return [*early.limit, early.size]

# tries: to put another script into the place of the one that was checked
# protection: the check of every path before a job exists, and O_EXCL
# request: {"files": [{"path": "script.py", "content": "def main(): return 2"}]}
# inside: invalid_request
def main():
    return "placed"

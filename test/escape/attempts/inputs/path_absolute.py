# tries: to have a file placed over one of the sandbox's own
# protection: the check of every path before a job exists
# request: {"files": [{"path": "/etc/passwd", "content": "root::0:0::/:/bin/sh"}]}
# inside: invalid_request
def main():
    return "placed"

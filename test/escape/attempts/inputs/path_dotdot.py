# tries: to have a file placed outside the working directory
# protection: the check of every path before a job exists
# request: {"files": [{"path": "a/../../etc/profile", "content": "x"}]}
# inside: invalid_request
def main():
    return "placed"

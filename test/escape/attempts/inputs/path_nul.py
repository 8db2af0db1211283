# tries: to have the kernel read a shorter path than the check did
# protection: the check of every path before a job exists
# request: {"files": [{"path": "a\u0000/../../x", "content": ""}]}
# inside: invalid_request
def main():
    return "placed"

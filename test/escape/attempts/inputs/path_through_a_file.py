# tries: to have a file placed below another one
# protection: the check of all paths together
# request: {"files": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]}
# inside: invalid_request
def main():
    return "placed"

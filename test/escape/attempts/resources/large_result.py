# tries: a result of 100 MB
# protection: the bound on results, kept by the worker too
# inside: result_too_large
# outside: next at once
def main():
    return "x" * 100_000_000

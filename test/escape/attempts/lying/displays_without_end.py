# tries: to make the worker hold gigabytes of displays, and other jobs wait for it
# protection: the worker's bound on their bytes, read before the payload
# request: {"entry": "cell"}
# inside: exit
# outside: next at once
import os

os.write(3, b"D\xff\xff\xff\xff" + bytes(1000))

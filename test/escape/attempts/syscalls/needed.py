# tries: nothing: what numpy, pandas, threads, asyncio, multiprocessing, subprocess, sqlite3, zoneinfo, tempfile, mmap and decimal need must go on working
# protection: the filter does not refuse too much
# inside: ["numpy","pandas","threads","asyncio","multiprocessing","subprocess","sqlite3","zoneinfo","tempfile","mmap","decimal"]
import asyncio, decimal, mmap, multiprocessing, sqlite3, subprocess, tempfile, threading, zoneinfo
import datetime, pickle


def square(n):
    return n * n


async def wait():
    process = await asyncio.create_subprocess_exec("true")
    return await process.wait() + await asyncio.to_thread(square, 0)


def main():
    import numpy as np
    import pandas as pd

    done = []
    assert np.linalg.inv(np.eye(3) * 2).sum() == 1.5 and np.random.default_rng().random() < 1
    done.append("numpy")
    assert pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a").b.sum().to_list() == [3, 3]
    done.append("pandas")
    threads = [threading.Thread(target=square, args=(i,)) for i in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    done.append("threads")
    assert asyncio.run(wait()) == 0
    done.append("asyncio")
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, [1, 2]) == [1, 4]
    done.append("multiprocessing")
    assert subprocess.run(["sh", "-c", "echo $((1+1)) | cat"], capture_output=True).stdout == b"2\n"
    done.append("subprocess")
    with sqlite3.connect("/tmp/x.db") as db:
        db.execute("create table t (a)")
        db.execute("insert into t values (1)")
    done.append("sqlite3")
    assert datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().seconds == 3600
    done.append("zoneinfo")
    with tempfile.TemporaryDirectory() as d, open(d + "/f", "wb") as f:
        pickle.dump(1, f)
    done.append("tempfile")
    mmap.mmap(-1, 4096)[0] = 1
    done.append("mmap")
    assert str(decimal.Decimal(1) / 3).startswith("0.333")
    done.append("decimal")
    return done

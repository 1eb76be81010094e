import os
import resource

from synthpairs.captions.chunks import FAN_IN, Chunks
from synthpairs.captions.record import Caption


def test_more_chunks_than_open_files_are_merged_in_a_stable_order(tmp_path):
    chunks, captions = Chunks(tmp_path), []
    for number in range(3 * FAN_IN + 1):
        chunk = [Caption(text=f"a dog {(number * 7 + row) % 500}", source="x", concept=str(number)) for row in range(9)]
        captions += chunk
        chunks.write(sorted(chunk, key=lambda caption: caption.uid))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + FAN_IN, limits[1]))
    try:
        merged = list(chunks.merged())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    expected = sorted(captions, key=lambda caption: caption.uid)  # stable, as the merge
    assert merged == [(caption.uid, caption) for caption in expected]
    assert len({caption.uid for caption in captions}) < len(captions)
    assert len(list(tmp_path.iterdir())) == 4, "the files of a merge are removed"

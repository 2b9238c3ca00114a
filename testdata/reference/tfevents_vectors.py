"""Writes tfevents_vectors.tfevents with TensorBoard's own writer: pip install tensorboard==2.21.0; python tfevents_vectors.py"""
import io, pathlib
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

class Kept(io.BytesIO):
    def close(self): pass

out = Kept()
writer = RecordWriter(out)
value = summary_pb2.Summary.Value
for event in [
    event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
    event_pb2.Event(wall_time=1700000001.5, step=0, summary=summary_pb2.Summary(value=[
        value(tag="step/loss", simple_value=0.6931471805599453), value(tag="step/lr_hëad", simple_value=1e-3)])),
    event_pb2.Event(wall_time=1700000002, step=300, summary=summary_pb2.Summary(value=[
        value(tag="epoch/accuracy", simple_value=1)])),
]:
    writer.write(event.SerializeToString())
pathlib.Path(__file__).with_suffix(".tfevents").write_bytes(out.getvalue())

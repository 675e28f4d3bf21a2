"""Holds a trace to Perfetto's published schema: the classes of the package `perfetto` are generated from it.

scripts/perfetto-schema gets a python3 that has them."""

import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema


def unknown(message):
    """Fields that the schema does not have, here and below."""
    count = len(UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = value if hasattr(value, "append") or hasattr(value, "add") else [value]
            count += sum(unknown(part) for part in parts)
    return count


trace = schema.Trace()
with open(sys.argv[1], "rb") as file:
    trace.ParseFromString(file.read())
assert trace.packet, "no packets"
assert trace.IsInitialized(), "a field that is required is missing"
assert unknown(trace) == 0, "fields that the schema does not have"

tracks, flows, ends, slices, counters = {}, set(), set(), 0, 0
for packet in trace.packet:
    assert packet.trusted_packet_sequence_id, "a packet of no sequence"
    if packet.HasField("track_descriptor"):
        track = packet.track_descriptor
        tracks[track.uuid] = track
        assert not track.parent_uuid or track.parent_uuid in tracks, "a track under one that is not there yet"
    elif packet.HasField("track_event"):
        event = packet.track_event
        assert event.track_uuid in tracks, "an event on no track"
        flows.update(event.flow_ids)
        ends.update(event.terminating_flow_ids)
        counter = event.type == schema.TrackEvent.TYPE_COUNTER
        counters += counter
        slices += event.type == schema.TrackEvent.TYPE_SLICE_BEGIN
        assert counter == tracks[event.track_uuid].HasField("counter"), "a counter's event elsewhere"
        assert event.name or event.type != schema.TrackEvent.TYPE_SLICE_BEGIN, "a slice without a name"
assert slices and counters and flows, (slices, counters, flows)
assert ends <= flows, "a flow that ends and never began"
print(f"{len(tracks)} tracks, {slices} slices, {counters} counts, {len(flows)} flows")

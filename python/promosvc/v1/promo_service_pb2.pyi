from promosvc.v1 import catalogue_pb2 as _catalogue_pb2
from promosvc.v1 import event_pb2 as _event_pb2
from promosvc.v1 import features_pb2 as _features_pb2
from promosvc.v1 import recommend_pb2 as _recommend_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

//! Server reflection v1 and v1alpha, so that every grpcurl works without proto files.
//!
//! Both versions have the same messages under another package, and each request of the stream has
//! exactly one response; so one function from bytes to bytes answers both. The descriptors are those that
//! the messages were generated from.

use std::collections::{BTreeMap, BTreeSet};

use promosvc_engine::error::{Error, ErrorKind, Result};
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::health::undecodable;
use crate::wire::grpc::reflection::v1 as wire;
use crate::wire::grpc::reflection::v1::server_reflection_request::MessageRequest;
use crate::wire::grpc::reflection::v1::server_reflection_response::MessageResponse;

/// gRPC's number for NOT_FOUND, inside an answer.
const NOT_FOUND: i32 = 5;
/// gRPC's number for INVALID_ARGUMENT, inside an answer.
const INVALID_ARGUMENT: i32 = 3;

/// Files, and which of them declares a name.
#[derive(Debug)]
pub(crate) struct Reflection {
    files: Vec<File>,
    file_by_name: BTreeMap<String, usize>,
    file_by_symbol: BTreeMap<String, usize>,
    services: Vec<String>,
}

#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    imports: Vec<String>,
}

impl Reflection {
    /// Indexes an encoded `FileDescriptorSet`.
    pub(crate) fn new(descriptors: &[u8]) -> Result<Self> {
        let set = FileDescriptorSet::decode(descriptors).map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                "DESCRIPTORS_DAMAGED",
                format!("the built-in descriptors do not decode: {error}"),
            )
        })?;
        let mut reflection = Self {
            files: Vec::with_capacity(set.file.len()),
            file_by_name: BTreeMap::new(),
            file_by_symbol: BTreeMap::new(),
            services: Vec::new(),
        };
        for file in set.file {
            reflection.add(&file);
        }
        reflection.services.sort_unstable();
        Ok(reflection)
    }

    /// Full names of the services, sorted.
    #[cfg(test)]
    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    /// Answers one request of the stream: appends the encoded response.
    pub(crate) fn answer(&self, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let request = wire::ServerReflectionRequest::decode(request)
            .map_err(|error| undecodable("grpc.reflection.v1.ServerReflectionRequest", &error))?;
        let response = wire::ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(self.find(request.message_request.as_ref())),
            original_request: Some(request),
        };
        out.extend_from_slice(&response.encode_to_vec());
        Ok(())
    }

    fn find(&self, request: Option<&MessageRequest>) -> MessageResponse {
        match request {
            Some(MessageRequest::FileByFilename(name)) => self
                .file_by_name
                .get(name)
                .map_or_else(|| not_found("file", name), |&file| self.closure(file)),
            Some(MessageRequest::FileContainingSymbol(symbol)) => self
                .file_by_symbol
                .get(symbol.trim_start_matches('.'))
                .map_or_else(|| not_found("symbol", symbol), |&file| self.closure(file)),
            Some(MessageRequest::FileContainingExtension(extension)) => {
                not_found("extension of", &extension.containing_type)
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                if self.file_by_symbol.contains_key(name) {
                    MessageResponse::AllExtensionNumbersResponse(wire::ExtensionNumberResponse {
                        base_type_name: name.clone(),
                        extension_number: Vec::new(),
                    })
                } else {
                    not_found("type", name)
                }
            }
            Some(MessageRequest::ListServices(_)) => {
                MessageResponse::ListServicesResponse(wire::ListServiceResponse {
                    service: self
                        .services
                        .iter()
                        .map(|name| wire::ServiceResponse { name: name.clone() })
                        .collect(),
                })
            }
            None => MessageResponse::ErrorResponse(wire::ErrorResponse {
                error_code: INVALID_ARGUMENT,
                error_message:
                    "message_request is not set; ask for a file, a symbol or the services"
                        .to_owned(),
            }),
        }
    }

    /// A file and all that it imports, itself first.
    fn closure(&self, file: usize) -> MessageResponse {
        let mut seen = BTreeSet::from([file]);
        let mut order = vec![file];
        let mut at = 0;
        while at < order.len() {
            for import in &self.files[order[at]].imports {
                if let Some(&next) = self.file_by_name.get(import)
                    && seen.insert(next)
                {
                    order.push(next);
                }
            }
            at += 1;
        }
        MessageResponse::FileDescriptorResponse(wire::FileDescriptorResponse {
            file_descriptor_proto: order
                .iter()
                .map(|&file| self.files[file].bytes.clone())
                .collect(),
        })
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let index = self.files.len();
        self.files.push(File {
            bytes: file.encode_to_vec(),
            imports: file.dependency.clone(),
        });
        self.file_by_name.insert(file.name().to_owned(), index);
        let package = file.package();
        for message in &file.message_type {
            self.add_message(package, message, index);
        }
        for enumeration in &file.enum_type {
            self.add_enum(package, enumeration, index);
        }
        for extension in &file.extension {
            self.add_symbol(package, extension.name(), index);
        }
        for service in &file.service {
            let name = self.add_symbol(package, service.name(), index);
            for method in &service.method {
                self.add_symbol(&name, method.name(), index);
            }
            self.services.push(name);
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, file: usize) {
        let name = self.add_symbol(scope, message.name(), file);
        for field in &message.field {
            self.add_symbol(&name, field.name(), file);
        }
        for oneof in &message.oneof_decl {
            self.add_symbol(&name, oneof.name(), file);
        }
        for nested in &message.nested_type {
            self.add_message(&name, nested, file);
        }
        for enumeration in &message.enum_type {
            self.add_enum(&name, enumeration, file);
        }
    }

    /// Enum values live beside their enum, not in it.
    fn add_enum(&mut self, scope: &str, enumeration: &EnumDescriptorProto, file: usize) {
        self.add_symbol(scope, enumeration.name(), file);
        for value in &enumeration.value {
            self.add_symbol(scope, value.name(), file);
        }
    }

    fn add_symbol(&mut self, scope: &str, name: &str, file: usize) -> String {
        let full = if scope.is_empty() {
            name.to_owned()
        } else {
            format!("{scope}.{name}")
        };
        self.file_by_symbol.insert(full.clone(), file);
        full
    }
}

fn not_found(what: &str, name: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(wire::ErrorResponse {
        error_code: NOT_FOUND,
        error_message: format!("no {what} {name:?} here"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DESCRIPTORS;

    fn ask(request: MessageRequest) -> MessageResponse {
        let reflection = Reflection::new(DESCRIPTORS).expect("built-in descriptors");
        let request = wire::ServerReflectionRequest {
            host: "near".to_owned(),
            message_request: Some(request),
        };
        let mut out = Vec::new();
        reflection
            .answer(&request.encode_to_vec(), &mut out)
            .expect("answers");
        let response = wire::ServerReflectionResponse::decode(out.as_slice()).expect("decodes");
        assert_eq!(response.original_request, Some(request));
        assert_eq!(response.valid_host, "near");
        response.message_response.expect("an answer")
    }

    fn names(response: MessageResponse) -> Vec<String> {
        match response {
            MessageResponse::FileDescriptorResponse(files) => files
                .file_descriptor_proto
                .iter()
                .map(|bytes| {
                    FileDescriptorProto::decode(bytes.as_slice())
                        .expect("a file")
                        .name()
                        .to_owned()
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_service_is_listed() {
        let reflection = Reflection::new(DESCRIPTORS).expect("built-in descriptors");
        assert_eq!(
            reflection.services(),
            [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
                "promosvc.v1.AdminService",
                "promosvc.v1.PromoService",
            ]
        );
    }

    #[test]
    fn a_symbol_comes_with_all_that_it_imports() {
        for symbol in [
            "promosvc.v1.PromoService",
            "promosvc.v1.PromoService.Recommend",
        ] {
            let files = names(ask(MessageRequest::FileContainingSymbol(symbol.to_owned())));
            assert_eq!(files[0], "promosvc/v1/promo_service.proto");
            for import in [
                "promosvc/v1/money.proto",
                "google/protobuf/duration.proto",
                "google/protobuf/timestamp.proto",
            ] {
                assert!(
                    files.iter().any(|file| file == import),
                    "{import} of {files:?}"
                );
            }
        }
        let details = "google.rpc.ErrorInfo".to_owned();
        names(ask(MessageRequest::FileContainingSymbol(details)));
        let files = names(ask(MessageRequest::FileContainingSymbol(
            "promosvc.v1.FEATURE_STATUS_PRESENT".to_owned(),
        )));
        assert_eq!(files[0], "promosvc/v1/features.proto");
    }

    #[test]
    fn unknown_names_are_not_found() {
        for request in [
            MessageRequest::FileByFilename("far.proto".to_owned()),
            MessageRequest::FileContainingSymbol("far.Service".to_owned()),
            MessageRequest::AllExtensionNumbersOfType("far.Message".to_owned()),
            MessageRequest::FileContainingExtension(wire::ExtensionRequest {
                containing_type: "promosvc.v1.Money".to_owned(),
                extension_number: 1,
            }),
        ] {
            match ask(request) {
                MessageResponse::ErrorResponse(error) => assert_eq!(error.error_code, NOT_FOUND),
                other => panic!("{other:?}"),
            }
        }
    }
}

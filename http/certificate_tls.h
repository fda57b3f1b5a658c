// What a verified certificate says of the client that presented it.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "http/message.h"

namespace holdfast::http {

// After the handshake. Null: none was presented, or it was not verified.
std::shared_ptr<const ClientCertificate> verified_peer(SSL* ssl);

}  // namespace holdfast::http

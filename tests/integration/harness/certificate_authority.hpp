#pragma once

#include "tests/integration/harness/temporary_directory.hpp"

#include <string>

namespace dlhandoff::test {

/// A certificate authority of the test's own, in its directory; made with the openssl program, whose failure
/// is a std::runtime_error.
class certificate_authority {
  public:
    explicit certificate_authority(const temporary_directory& directory);

    enum class key_type { rsa, ecdsa };
    /// Issues a certificate; the PEM file that has it, its key and the authority's certificate.
    [[nodiscard]] std::string issue(const std::string& common_name, key_type key = key_type::ecdsa) const;
    /// The authority's own certificate.
    [[nodiscard]] std::string certificate() const { return directory_ / "authority.pem"; }
    /// An OCSP response (DER) that says that a certificate is good.
    [[nodiscard]] std::string status_of(const std::string& certificate) const;

  private:
    const temporary_directory& directory_;
};

} // namespace dlhandoff::test

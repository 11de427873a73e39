#include "tests/integration/harness/http_client.hpp"

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/private_httpd.hpp"
#include "tests/integration/harness/raw_client.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdexcept>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

class sha256 {
  public:
    sha256() : context_(EVP_MD_CTX_new()) {
        if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
            throw std::runtime_error("OpenSSL has no SHA-256");
    }
    void add(const void* bytes, std::size_t size) { EVP_DigestUpdate(context_.get(), bytes, size); }
    [[nodiscard]] std::string hexadecimal() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        std::string text;
        for (unsigned i = 0; i < size; ++i) {
            text += "0123456789abcdef"[digest[i] >> 4];
            text += "0123456789abcdef"[digest[i] & 15];
        }
        return text;
    }

  private:
    struct free_context {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, free_context> context_;
};

struct sink {
    http_response& response;
    bool keep;
    sha256 digest{};
};

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* into) {
    auto& to = *static_cast<sink*>(into);
    to.digest.add(bytes, size * count);
    to.response.body_bytes += size * count;
    if (to.keep)
        to.response.body.append(bytes, size * count);
    return size * count;
}

std::size_t take_head(char* bytes, std::size_t size, std::size_t count, void* into) {
    static_cast<http_response*>(into)->head.append(bytes, size * count);
    return size * count;
}

struct free_fields {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

} // namespace

std::string new_probe() {
    static std::atomic<unsigned> count = 0;
    return "p" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

std::string http_response::field(std::string_view name) const {
    return field_of(head, name);
}

http_client::http_client(const private_httpd& server) : server_(server), handle_(curl_easy_init()) {
    if (handle_ == nullptr)
        throw std::runtime_error("curl_easy_init failed");
}

http_response http_client::get(std::string path, std::vector<std::string> fields) {
    http_request what;
    what.path = std::move(path);
    what.fields = std::move(fields);
    return request(what);
}

http_response http_client::request(const http_request& what) {
    http_response response;
    response.probe = new_probe();
    sink to{response, what.keep_body};
    CURL* curl = handle_.get();
    // Keeps open connections (curl_easy_reset(3)).
    curl_easy_reset(curl);
    const std::string url =
        what.https ? "https://" + server_.address() + ':' + std::to_string(https_port) + what.path
                   : server_.url(what.path);
    curl_slist* list = curl_slist_append(nullptr, ("X-Probe: " + response.probe).c_str());
    for (const std::string& field : what.fields)
        list = curl_slist_append(list, field.c_str());
    const std::unique_ptr<curl_slist, free_fields> fields(list);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, what.version);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields.get());
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(what.within.count()));
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 262144L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &to);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &take_head);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L); // the certificate is of the test's own making
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    if (!what.tls12_suites.empty()) {
        curl_easy_setopt(curl, CURLOPT_SSLVERSION,
                         static_cast<long>(CURL_SSLVERSION_TLSv1_2) | CURL_SSLVERSION_MAX_TLSv1_2);
        curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, what.tls12_suites.c_str());
    }
    if (!what.tls13_suites.empty()) {
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
        curl_easy_setopt(curl, CURLOPT_TLS13_CIPHERS, what.tls13_suites.c_str());
    }
    if (!what.client_certificate.empty()) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, what.client_certificate.c_str());
        curl_easy_setopt(curl, CURLOPT_SSLKEY, what.client_certificate.c_str());
    }
    if (!what.user_password.empty()) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, what.user_password.c_str());
    }
    if (what.content) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(what.content->size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, what.content->data());
    }
    if (what.method == "HEAD")
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, what.method.c_str());
    response.duration = duration_of([&] { response.error = curl_easy_perform(curl); });
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &response.new_connections);
    response.body_sha256 = to.digest.hexadecimal();
    return response;
}

std::string sha256_of(std::string_view bytes) {
    sha256 digest;
    digest.add(bytes.data(), bytes.size());
    return digest.hexadecimal();
}

std::string sha256_of_file(const std::filesystem::path& file, std::uint64_t offset,
                           std::optional<std::uint64_t> length) {
    const file_descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in)
        throw_errno("open(file to hash)");
    sha256 digest;
    std::vector<char> buffer(1 << 20);
    std::uint64_t left = length.value_or(UINT64_MAX);
    while (left > 0) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
        const ssize_t got = ::pread(in.get(), buffer.data(), wanted, static_cast<off_t>(offset));
        if (got < 0)
            throw_errno("pread(file to hash)");
        if (got == 0)
            break;
        digest.add(buffer.data(), static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
        left -= static_cast<std::uint64_t>(got);
    }
    return digest.hexadecimal();
}

} // namespace dlhandoff::test

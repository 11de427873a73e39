/// What TLS records cost a manager's thread: to read their plaintext from a file in the page cache, seal
/// them, and send them over loopback to a client that drops them; CPU seconds per GB (Google Benchmark). By
/// cipher suite, records a batch (one send each), and how the plaintext is read.
#include "engine/tls/tls_record.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/sample.hpp"

#include <array>
#include <benchmark/benchmark.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <vector>

namespace dlhandoff::bench {
namespace {

using engine::max_record_plaintext;

constexpr std::uint64_t file_size = 64 * max_record_plaintext * 64;

enum way : std::int64_t {
    pread_each,   ///< fstat(2) and pread(2) for each record
    preadv_batch, ///< fstat(2) and preadv2(2) with RWF_NOWAIT for each batch, straight to the records
    mapped_copy,  ///< copied from a mapping
    mapped        ///< sealed from a mapping into the record: no copy, and SIGBUS should the file be shortened
};
constexpr std::array<const char*, 4> way_names{"pread_each", "preadv_batch", "mapped_copy", "mapped"};
constexpr std::array<const char*, 3> suite_names{"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};

/// A connection, and a client that reads as fast as it can without copying.
class sink {
  public:
    sink() : client_("client", [this](channel&) { drop_all(connect_to({listener_.port()})); }) {
        connection_ = std::move(listener_.accept(1).front());
        // Blocking: what is measured is CPU time.
        ::fcntl(connection_.get(), F_SETFL, ::fcntl(connection_.get(), F_GETFL) & ~O_NONBLOCK);
    }
    [[nodiscard]] int socket() const noexcept { return connection_.get(); }

  private:
    static void drop_all(const file_descriptor& connection) {
        pollfd readable{connection.get(), POLLIN, 0};
        while (::poll(&readable, 1, patience_seconds * 1000) == 1) {
            const ssize_t got = ::recv(connection.get(), nullptr, 1U << 30, MSG_TRUNC);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
                return;
        }
    }
    loopback_listener listener_;
    role client_;
    file_descriptor connection_;
};

/// The file in memory as long as it lives.
class mapping {
  public:
    explicit mapping(const sample& file)
        : bytes_(static_cast<const std::uint8_t*>(
              ::mmap(nullptr, file_size, PROT_READ, MAP_SHARED | MAP_POPULATE, file.descriptor(), 0))) {
        if (bytes_ == MAP_FAILED)
            throw_errno("mmap");
    }
    ~mapping() { ::munmap(const_cast<std::uint8_t*>(bytes_), file_size); }
    mapping(const mapping&) = delete;
    mapping& operator=(const mapping&) = delete;
    [[nodiscard]] const std::uint8_t* at(std::uint64_t offset) const noexcept { return bytes_ + offset; }

  private:
    const std::uint8_t* bytes_;
};

/// As record_cipher::seal() of TLS 1.3, but from elsewhere: what an interface for it could gain.
void seal_from(EVP_CIPHER_CTX* context, const engine::traffic_key& key, std::uint64_t sequence,
               const std::uint8_t* plaintext, std::uint8_t* record) {
    constexpr int size = max_record_plaintext;
    const std::array<std::uint8_t, 5> header{23, 3, 3, (size + 17) >> 8, (size + 17) & 255};
    std::memcpy(record, header.data(), header.size());
    const auto nonce = key.nonce(sequence);
    const std::uint8_t type = 23;
    std::uint8_t* const body = record + header.size();
    int taken = 0;
    if (EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
        EVP_EncryptUpdate(context, nullptr, &taken, header.data(), header.size()) != 1 ||
        EVP_EncryptUpdate(context, body, &taken, plaintext, size) != 1 ||
        EVP_EncryptUpdate(context, body + size, &taken, &type, 1) != 1 ||
        EVP_EncryptFinal_ex(context, body + size + 1, &taken) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, engine::tag_size, body + size + 1) != 1)
        throw std::runtime_error("libcrypto can't protect a TLS record");
}

void seal_and_send(benchmark::State& state) {
    const auto suite_number = static_cast<std::uint16_t>(state.range(0) + 0x1301);
    const auto records = static_cast<std::size_t>(state.range(1));
    const auto how = static_cast<way>(state.range(2));
    state.SetLabel(std::string(suite_names[static_cast<std::size_t>(state.range(0))]) + ' ' +
                   way_names[static_cast<std::size_t>(how)]);
    const sample file(file_size);
    const mapping mapped_file(file);
    const sink to;
    const engine::tls_suite& suite = *engine::find_tls_suite(engine::tls13, suite_number);
    const engine::traffic_key key(suite, made_up_session().write_secret, 0);
    engine::record_cipher cipher;
    const std::size_t whole = max_record_plaintext + engine::record_overhead(suite);
    const std::size_t prefix = engine::record_prefix(suite);
    std::vector<std::uint8_t> buffer(records * whole);
    EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
    EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, suite.cipher, nullptr);
    EVP_EncryptInit_ex(context, algorithm, nullptr, key.key().data(), nullptr);
    std::uint64_t offset = 0;
    std::uint64_t sequence = 0;
    struct stat status {};
    for (auto _ : state) {
        if (how == preadv_batch) {
            std::array<iovec, 64> pieces;
            for (std::size_t i = 0; i < records; ++i)
                pieces[i] = {buffer.data() + i * whole + prefix, max_record_plaintext};
            ::fstat(file.descriptor(), &status);
            if (::preadv2(file.descriptor(), pieces.data(), static_cast<int>(records),
                          static_cast<off_t>(offset),
                          RWF_NOWAIT) != static_cast<ssize_t>(records * max_record_plaintext))
                state.SkipWithError("short read");
        }
        for (std::size_t i = 0; i < records; ++i) {
            std::uint8_t* const record = buffer.data() + i * whole;
            const std::uint64_t at = offset + i * max_record_plaintext;
            if (how == pread_each) {
                ::fstat(file.descriptor(), &status);
                if (::pread(file.descriptor(), record + prefix, max_record_plaintext,
                            static_cast<off_t>(at)) != max_record_plaintext)
                    state.SkipWithError("short read");
            } else if (how == mapped_copy) {
                std::memcpy(record + prefix, mapped_file.at(at), max_record_plaintext);
            }
            if (how == mapped)
                seal_from(context, key, sequence++, mapped_file.at(at), record);
            else
                cipher.seal(key, sequence++, engine::content_type::application_data, {record, whole});
        }
        if (::send(to.socket(), buffer.data(), buffer.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(buffer.size()))
            state.SkipWithError("send");
        offset = (offset + records * max_record_plaintext) % file_size;
    }
    EVP_CIPHER_free(algorithm);
    EVP_CIPHER_CTX_free(context);
    const double gigabytes =
        static_cast<double>(state.iterations()) * static_cast<double>(records * max_record_plaintext) * 1e-9;
    state.counters["s_per_GB"] =
        benchmark::Counter(gigabytes, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(seal_and_send)
    ->ArgNames({"suite", "records", "way"})
    ->ArgsProduct({{1}, {4, 8, 16, 64}, {pread_each, preadv_batch, mapped_copy, mapped}})
    ->ArgsProduct({{0, 2}, {16}, {pread_each, preadv_batch, mapped_copy, mapped}});

} // namespace
} // namespace dlhandoff::bench

BENCHMARK_MAIN();

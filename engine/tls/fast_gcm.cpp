#include "engine/tls/fast_gcm.hpp"

#include "engine/tls/tls_record.hpp"

#include <algorithm>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <optional>
#include <vector>

namespace dlhandoff::engine {
namespace {

/// What libIPSec_MB has for this processor.
struct functions {
    aes_gcm_pre_t prepare128;
    aes_gcm_pre_t prepare256;
    aes_gcm_enc_dec_t seal128;
    aes_gcm_enc_dec_t seal256;
};

std::optional<functions> functions_for_this_processor() noexcept {
    const std::unique_ptr<IMB_MGR, decltype(&free_mb_mgr)> all(alloc_mb_mgr(0), &free_mb_mgr);
    if (!all)
        return std::nullopt;
    IMB_ARCH chosen = IMB_ARCH_NONE;
    init_mb_mgr_auto(all.get(), &chosen);
    constexpr std::uint64_t vectors = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
    if (imb_get_errno(all.get()) != 0 || chosen != IMB_ARCH_AVX512 || (all->features & vectors) != vectors)
        return std::nullopt;
    return functions{all->gcm128_pre, all->gcm256_pre, all->gcm128_enc, all->gcm256_enc};
}

} // namespace

struct fast_gcm::schedule {
    gcm_key_data key;
    gcm_context_data state;
    std::size_t key_size;

    static const std::optional<functions>& library() noexcept {
        static const std::optional<functions> found = functions_for_this_processor();
        return found;
    }
};

namespace {

/// Whether a record comes out as libcrypto makes it, of some lengths around those of the vectors.
bool seals_like_libcrypto(std::size_t key_size) {
    std::vector<std::uint8_t> key(key_size);
    std::array<std::uint8_t, 12> nonce{};
    std::array<std::uint8_t, 13> additional{};
    std::uint8_t next = 1;
    for (const std::span<std::uint8_t> some :
         {std::span(key), std::span<std::uint8_t>(nonce), std::span<std::uint8_t>(additional)})
        std::ranges::generate(some, [&] { return next = static_cast<std::uint8_t>(next * 5 + 7); });
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  &EVP_CIPHER_CTX_free);
    fast_gcm fast;
    fast.set_key(key);
    for (const std::size_t size :
         {std::size_t{1}, std::size_t{255}, std::size_t{1024}, max_record_plaintext + 1}) {
        for (const std::size_t data : {std::size_t{5}, additional.size()}) {
            std::vector<std::uint8_t> ours(size + tag_size, 0x5a);
            std::vector<std::uint8_t> theirs = ours;
            fast.seal(nonce, {additional.data(), data}, {ours.data(), size}, ours.data() + size);
            int taken = 0;
            if (!context ||
                EVP_EncryptInit_ex(context.get(), key_size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
                                   nullptr, key.data(), nonce.data()) != 1 ||
                EVP_EncryptUpdate(context.get(), nullptr, &taken, additional.data(),
                                  static_cast<int>(data)) != 1 ||
                EVP_EncryptUpdate(context.get(), theirs.data(), &taken, theirs.data(),
                                  static_cast<int>(size)) != 1 ||
                EVP_EncryptFinal_ex(context.get(), theirs.data() + taken, &taken) != 1 ||
                EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, theirs.data() + size) !=
                    1 ||
                ours != theirs)
                return false;
        }
    }
    return true;
}

} // namespace

bool fast_gcm::usable() noexcept {
    static const bool is_usable = [] {
        try {
            return EVP_default_properties_is_fips_enabled(nullptr) == 0 && schedule::library().has_value() &&
                   seals_like_libcrypto(16) && seals_like_libcrypto(32);
        } catch (const std::bad_alloc&) {
            return false;
        }
    }();
    return is_usable;
}

fast_gcm::fast_gcm() : schedule_(std::make_unique<schedule>()) {}

fast_gcm::~fast_gcm() {
    if (schedule_)
        wipe();
}

void fast_gcm::set_key(std::span<const std::uint8_t> key) noexcept {
    const functions& library = *schedule::library();
    schedule_->key_size = key.size();
    (key.size() == 16 ? library.prepare128 : library.prepare256)(key.data(), &schedule_->key);
}

void fast_gcm::seal(const std::array<std::uint8_t, 12>& nonce, std::span<const std::uint8_t> additional_data,
                    std::span<std::uint8_t> text, std::uint8_t* tag) noexcept {
    const functions& library = *schedule::library();
    (schedule_->key_size == 16 ? library.seal128 : library.seal256)(
        &schedule_->key, &schedule_->state, text.data(), text.data(), text.size(), nonce.data(),
        additional_data.data(), additional_data.size(), tag, tag_size);
}

void fast_gcm::wipe() noexcept {
    OPENSSL_cleanse(schedule_.get(), sizeof *schedule_);
}

} // namespace dlhandoff::engine

# Finds httpd through apxs and APR through apr-1-config, and offers them as one target, httpd::headers.
find_program(APXS NAMES apxs apxs2 REQUIRED)
find_program(APR_CONFIG NAMES apr-1-config REQUIRED)
find_program(APU_CONFIG NAMES apu-1-config REQUIRED)

function(dlhandoff_ask result)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(${result} "${answer}" PARENT_SCOPE)
endfunction()

dlhandoff_ask(HTTPD_INCLUDE_DIR ${APXS} -q INCLUDEDIR)
dlhandoff_ask(HTTPD_MODULE_DIR ${APXS} -q LIBEXECDIR)
dlhandoff_ask(HTTPD_SBIN_DIR ${APXS} -q SBINDIR)
dlhandoff_ask(HTTPD_PROGRAM_NAME ${APXS} -q PROGNAME)
dlhandoff_ask(APR_INCLUDE_DIR ${APR_CONFIG} --includedir)
dlhandoff_ask(APU_INCLUDE_DIR ${APU_CONFIG} --includedir)
dlhandoff_ask(APR_CPPFLAGS ${APR_CONFIG} --cppflags)
separate_arguments(APR_CPPFLAGS)
# For tests: httpd itself brings them for its modules.
dlhandoff_ask(APR_LIBRARIES ${APU_CONFIG} --link-ld)
dlhandoff_ask(APR_LIBRARY ${APR_CONFIG} --link-ld)
separate_arguments(APR_LIBRARIES UNIX_COMMAND "${APR_LIBRARIES} ${APR_LIBRARY}")
set(HTTPD_PROGRAM "${HTTPD_SBIN_DIR}/${HTTPD_PROGRAM_NAME}")

add_library(httpd_headers INTERFACE)
add_library(httpd::headers ALIAS httpd_headers)
target_include_directories(httpd_headers SYSTEM INTERFACE ${HTTPD_INCLUDE_DIR} ${APR_INCLUDE_DIR} ${APU_INCLUDE_DIR})
target_compile_options(httpd_headers INTERFACE ${APR_CPPFLAGS})
message(STATUS "httpd: ${HTTPD_PROGRAM}, headers in ${HTTPD_INCLUDE_DIR}, modules in ${HTTPD_MODULE_DIR}")

#!/bin/sh
# A back-end in CI, the same for GitHub, GitLab and by hand:
#
#     sh vhost-user.sh './my-backend --socket {socket}' [options of vutrace conform backend]
#
# conform.xml and tests.xml are for JUnit's readers, captures/ and vutrace-captures/ are what failed. Exit
# status 1 where a must does not hold that is not known of the program, or a test fails.
set -u
backend=$1
shift

command -v vutrace > /dev/null || pip install vutrace pytest || exit 1

vutrace conform backend --start "$backend" --allow-known -w captures --junit "$@" > conform.xml
conform=$?
echo "conform.xml: $(grep -c '<testcase' conform.xml) cases, $(grep -c '<failure' conform.xml) failures"

pytest -q --junit-xml=tests.xml
tests=$?
[ $tests -eq 5 ] && tests=0  # there are none

[ $conform -eq 0 ] && [ $tests -eq 0 ]

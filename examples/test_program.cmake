# For the tests of the example programs, run by cmake -P.
#
#   run(STATUS ARGUMENTS...)                runs ${PROGRAM} in ${FOLDER} and wants that status; sets said and
#                                           complained
#   refuses_wrong_use(COUNTED [MORE ...])   every wrong use is one sentence and status 2; COUNTED is an option that
#                                           wants a number of at least 2, MORE goes in front of each

function(run expected)
  execute_process(COMMAND ${PROGRAM} ${ARGN} WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE complained)
  if(NOT status EQUAL expected)
    message(FATAL_ERROR "${ARGN}: status ${status} where ${expected} was expected\n${said}${complained}")
  endif()
  set(said "${said}" PARENT_SCOPE)
  set(complained "${complained}" PARENT_SCOPE)
endfunction()

function(refuses_wrong_use counted)
  foreach(wrong "--data;/nonexistent" "--out;/dev/null/x" "${counted};1" "--no-such-option" "${counted};many")
    run(2 ${ARGN} ${wrong})
    string(REGEX MATCHALL "\n" line_ends "${complained}")
    list(LENGTH line_ends count)
    if(NOT count EQUAL 1)
      message(FATAL_ERROR "${wrong}: not one sentence: ${complained}")
    endif()
  endforeach()
endfunction()

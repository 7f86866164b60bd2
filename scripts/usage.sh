# shellcheck shell=bash
# Sourced by the other scripts: their help is the comment at their top, and a word that it does not name is refused.
# A flag stands there on a line of its own: "  --flag", "  --flag <value>" or "  --flag <value>...".

# print_usage <script>
print_usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

# print_flags <script>
print_flags() { print_usage "$1" | grep -E '^ +--'; }

# refuse <script> <why>
refuse() {
  printf '%s: %s\nbash %s --help says how to call it\n' "$(basename "$1")" "$2" "$1" >&2
  exit 2
}

# plain_dashes <words...>: the words as the array "words"; text processors turn the two hyphens of a flag into one dash
plain_dashes() {
  local word plain
  words=()
  for word in "$@"; do
    plain=$word
    case $word in
      –[a-z]* | —[a-z]* | −[a-z]*)
        plain=${plain#–}
        plain=${plain#—}
        plain=--${plain#−}
        printf "'%s' is read as %s\n" "$word" "$plain" >&2
        ;;
    esac
    words+=("$plain")
  done
}

# begin <script> <number of words it needs> <words...>: answers --help and too few words, leaves the others in "words"
begin() {
  local script=$1 needed=$2
  shift 2
  plain_dashes "$@"
  help_if_asked "$script" "${words[@]+"${words[@]}"}"
  if [ ${#words[@]} -lt "$needed" ]; then
    print_usage "$script" >&2
    exit 2
  fi
}

# help_if_asked <script> <words...>
help_if_asked() {
  local script=$1 word
  shift
  for word in "$@"; do
    case $word in
      -h | --help)
        print_usage "$script"
        exit 0
        ;;
    esac
  done
}

# check_words <script that was called> <script whose comment lists the flags> <words...>
check_words() {
  local called=$1 lists=$2 word last='' takes=nothing
  shift 2
  for word in "$@"; do
    case $word in
      -[0-9.]* | [!-]* | '') # a value, negative numbers among them
        case $takes in
          nothing) refuse "$called" "'$word' is one word too many${last:+ after $last}" ;;
          one) takes=nothing ;;
          several) takes=more ;;
        esac
        ;;
      *)
        refuse_missing_value "$called" "$last" "$takes"
        last=${word%%=*}
        takes=$(values_of "$last" "$lists")
        if [ -z "$takes" ]; then
          refuse "$called" "there is no flag $last; these are known: $(print_flags "$lists" | awk '{ printf "%s ", $1 }')"
        fi
        case $word,$takes in --*=*,one) takes=nothing ;; --*=*,several) takes=more ;; esac
        ;;
    esac
  done
  refuse_missing_value "$called" "$last" "$takes"
}

# values_of <flag> <script>: nothing, one or several; empty where the script's comment does not list the flag
values_of() {
  print_flags "$2" | awk -v flag="$1" '$1 == flag { print $0 ~ /\.\.\.$/ ? "several" : $0 ~ /</ ? "one" : "nothing" }'
}

refuse_missing_value() {
  case $3 in one | several) refuse "$1" "$2 wants a value" ;; esac
}

# check_config <script that was called> <config file>
check_config() {
  if [ ! -f "$2" ]; then refuse "$1" "there is no config file '$2' (looked for in $PWD)"; fi
}

# check_number <script that was called> <what it counts> <number>
check_number() {
  case $3 in
    '' | *[!0-9]* | 0*) refuse "$1" "$2 must be a number from 1 on, not '$3'" ;;
  esac
}

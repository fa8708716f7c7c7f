package wirejson

import (
	"strings"
	"testing"
)

// documents are tried on every subject: most are for the conformance suite's messages, whose fields have the same names.
func documents() []string {
	docs := []string{
		``, ` `, `{`, `}`, `{}`, ` { } `, `{}{}`, `{},`, `[]`, `null`, `true`, `0`, `""`, `{"":1}`, "\x00", `{"a"}`, `{"optionalInt32" 1}`, `{,}`,
		`{"optionalInt32":1,}`, `{"optionalInt32":1 "optionalInt64":1}`, `{"repeatedInt32":[1,]}`, `{"repeatedInt32":[,1]}`, `{"repeatedInt32":[1 2]}`,
		`{"optionalInt32":1,"optionalInt32":1}`, `{"optionalInt32":1,"optional_int32":1}`, `{"optionalInt32":null,"optionalInt32":1}`,
		`{"optionalNestedMessage":{"a":1,"corecursive":{"optionalInt32":3}}}`, `{"optionalNestedMessage":[]}`, `{"optionalNestedMessage":{}}`,
		`{"repeatedNestedMessage":[{},{"a":1}]}`, `{"repeatedNestedMessage":[null]}`, `{"repeatedNestedMessage":{}}`, `{"repeatedNestedMessage":null}`,
		`{"recursiveMessage":{"recursiveMessage":{"recursiveMessage":{"recursiveMessage":{"recursiveMessage":{}}}}}}`,
		`{"x":[[[[[[[[]]]]]]]]}`, `{"x":{"a":[{"b":[null,true,false,1,"s"]}]}}`, `{"x":[}}`, `{"x":nul}`, `{"x":01}`, `{"\u006fptionalInt32":1}`,
		`{"oneofUint32":1,"oneofString":"x"}`, `{"oneofUint32":null,"oneofString":"x"}`, `{"oneofUint32":0}`, `{"oneofString":""}`, `{"oneofBytes":""}`,
		`{"oneofNestedMessage":{}}`, `{"oneofNullValue":null}`, `{"oneofNullValue":"NULL_VALUE","oneofUint32":1}`, `{"oneofEnum":"FOO"}`,
		`{"optionalNestedEnum":"BAR"}`, `{"optionalNestedEnum":1}`, `{"optionalNestedEnum":7}`, `{"optionalNestedEnum":"NOPE"}`, `{"optionalNestedEnum":-1}`,
		`{"optionalNestedEnum":1.0}`, `{"optionalNestedEnum":1e0}`, `{"optionalNestedEnum":"1"}`, `{"optionalNestedEnum":2147483648}`,
		`{"optionalNestedEnum":-2147483648}`, `{"optionalNestedEnum":null}`, `{"optionalNestedEnum":true}`, `{"optionalAliasedEnum":"alias_baz"}`,
		`{"optionalAliasedEnum":"bAz"}`, `{"repeatedNestedEnum":["FOO","NOPE",2]}`, `{"repeatedNestedEnum":["NOPE"]}`, `{"optionalNullValue":null}`,
		`{"optionalNullValue":"NULL_VALUE"}`, `{"optionalNullValue":5}`, `{"optionalNullValue":nullx}`,
		`{"mapStringNestedEnum":{"a":"FOO","b":"NOPE"}}`, `{"mapStringNestedEnum":{"a":"NOPE","a":"FOO"}}`, `{"mapStringNestedEnum":{"a":"FOO","a":"NOPE"}}`,
		`{"mapStringNestedEnum":{"a":"NOPE","a":"NOPE","b":"FOO"}}`, `{"mapInt32Int32":{"1":1,"+1":2}}`, `{"mapInt32Int32":{"1":1,"2":2,"-3":0}}`,
		`{"mapInt32Int32":{"":1}}`, `{"mapInt32Int32":{"1.0":1}}`, `{"mapInt32Int32":{"007":1}}`, `{"mapInt32Int32":{"1":null}}`, `{"mapInt32Int32":null}`,
		`{"mapInt32Int32":{"2147483648":1}}`, `{"mapUint64Uint64":{"18446744073709551615":"18446744073709551615"}}`, `{"mapUint64Uint64":{"-1":1}}`,
		`{"mapBoolBool":{"true":true,"false":false}}`, `{"mapBoolBool":{"True":true}}`, `{"mapBoolBool":{"true":true,"true":true}}`, `{"mapBoolBool":{"":true}}`,
		`{"mapStringString":{"a":"b","c":"","":"d"}}`, `{"mapStringString":{"a":"b","\u0061":"c"}}`, `{"mapStringBytes":{"a":"AA=="}}`,
		`{"mapStringNestedMessage":{"a":{"a":1},"b":{}}}`, `{"mapStringNestedMessage":{"a":null}}`, `{"mapStringString":[]}`, `{"mapInt32Float":{"1":"NaN"}}`,
		`{"mapSint32Sint32":{"-1":-1}}`, `{"mapSfixed64Sfixed64":{"-1":"-1"}}`, `{"mapFixed32Fixed32":{"4294967295":1}}`,
		`{"optionalBool":true}`, `{"optionalBool":"true"}`, `{"optionalBool":1}`, `{"optionalBool":tru}`, `{"optionalBool":truex}`, `{"optionalBool":false}`,
		`{"fieldname1":1,"fieldName2":2,"FieldName3":3,"fieldName4":4,"field_name3":1}`, `{"field_name3":1,"_field_name4":2,"field0name5":3}`,
		`{"groupliketype":{"groupInt32":1}}`, `{"GroupLikeType":{"groupInt32":1}}`, `{"data":{"groupInt32":1,"groupUint32":2}}`, `{"Data":{"groupInt32":1}}`,
		`{"multiwordgroupfield":{"groupInt32":5}}`, `{"MultiWordGroupField":{"groupInt32":5}}`, `{"delimitedField":{}}`, `{"messageSetCorrect":{}}`,
		`{"[protobuf_test_messages.proto2.extension_int32]":1}`, `{"[protobuf_test_messages.proto2.nope]":1}`, `{"[]":1}`, `{"[":1}`, `{"optionalGroup":{"a":17}}`,
		`{"[protobuf_test_messages.proto2.groupfield]":{"groupInt32":1}}`, `{"[protobuf_test_messages.proto2.extension_int32]":1,"[protobuf_test_messages.proto2.extension_int32]":1}`,
		`{"[protobuf_test_messages.editions.extension_int32]":7}`, `{"defaultInt32":5,"defaultString":""}`, `{"requiredInt32":1}`,
		`{"packedInt32":[1,2,3],"unpackedInt32":[1,2,3],"packedDouble":[],"unpackedDouble":[]}`, `{"packedNestedEnum":["FOO",1]}`, `{"packedSint64":["-1",5]}`,
		`{"title":"a","variants":[{"sku":"x","price":{"currency":"EUR","minor":"1"}}],"createTime":"2026-01-02T03:04:05.006Z","status":"PRODUCT_STATUS_ACTIVE"}`,
	}
	for _, v := range []string{
		"0", "-0", "1", "-1", "1.0", "1e3", "1E3", "1e+3", "100e-2", "1.5e1", "1.5", "0.5e1", "0.05e2", "1e", "1e+", "1.", ".5", "+1", "01", "0x1", "1_0",
		"2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e19", "1e20", "1e400", "-1e400", "1e-400",
		"1e2147483648", "0e2147483648", "0.00000000000000000005e20", "0.000000000000000000005e21", "1e-1", "10e-1", "3.4028235e38", "3.5e38", "1e-50",
		"0.1", "123456789.123456789", "5e-324", `"1"`, `" 1"`, `"1 "`, `""`, `"1e3"`, `"1.0"`, `"-0"`, `"1e"`, `"abc"`, `"NaN"`, `"Infinity"`, `"-Infinity"`,
		`"nan"`, `"inf"`, `"1,"`, `"[1"`, `"\u0031"`, "NaN", "Infinity", "-Infinity", "null", "true", `"true"`, "{}", "[]", `"null"`, `"-1"`, "1e,", "1\n", "-",
		"1.0000", "0.0", "-0.0", "10000000000000000000000e-3", "1.10e1", "1.000e0", "000",
	} {
		for _, f := range []string{"optionalInt32", "optionalInt64", "optionalUint32", "optionalUint64", "optionalSint32", "optionalSint64",
			"optionalFixed32", "optionalFixed64", "optionalSfixed32", "optionalSfixed64", "optionalFloat", "optionalDouble", "optionalBoolWrapper",
			"optionalInt32Wrapper", "optionalUint64Wrapper", "optionalFloatWrapper", "optionalDoubleWrapper", "optionalValue", "oneofUint64", "oneofFloat"} {
			docs = append(docs, `{"`+f+`":`+v+`}`)
		}
		docs = append(docs, v, `{"repeatedInt32":[`+v+`]}`, `{"repeatedDouble":[`+v+`,1]}`, `{"optionalStruct":{"a":`+v+`}}`, `{"repeatedListValue":[[`+v+`]]}`)
	}
	for _, v := range []string{
		`"x"`, `"\u00e4\u20ac\ud83d\ude00"`, `"ä€😀"`, `"\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\"\\\/\b\f\n\r\t"`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\x01\"",
		"\"\xff\"", "\"a\xc3\"", "\"\u2028\"", `"a`, `"a\`, `"a\u`, `"\ufffd"`, "\"\ufffd\"", "\"\x7f\"", `"AA=="`, `"AA"`, `"AAA="`, `"AAA"`, `"A"`, `"-_8="`, `"-_8"`, `"+/8"`,
		`"+_8"`, `"AA\n=="`, "\"AB==\"", `"\n"`, `"  "`, `"long text that is more than sixteen bytes, with \"quotes\""`, "\"long text with ümlauts, more than sixteen\"", "1", "{}",
	} {
		for _, f := range []string{"optionalString", "optionalBytes", "optionalStringWrapper", "optionalBytesWrapper", "optionalStringPiece", "oneofString"} {
			docs = append(docs, `{"`+f+`":`+v+`}`)
		}
		docs = append(docs, v, `{"repeatedString":[`+v+`]}`, `{"repeatedBytes":[`+v+`]}`, `{"optionalStruct":{`+v+`:1}}`, `{"optionalValue":`+v+`}`)
	}
	for _, v := range []string{
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.1Z"`, `"2026-01-02T03:04:05.123456789Z"`, `"2026-01-02T03:04:05.1234567891Z"`, `"2026-01-02T03:04:05,5Z"`,
		`"2026-02-29T00:00:00Z"`, `"2024-02-29T00:00:00Z"`, `"2026-13-01T00:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`,
		`"10000-01-01T00:00:00Z"`, `"2026-01-02T03:04:05+02:00"`, `"2026-01-02T03:04:05.5-11:30"`, `"2026-01-02t03:04:05z"`, `"2026-01-02T03:04:60Z"`, `"2026-01-02T24:00:00Z"`,
		`"2026-01-02T3:04:05Z"`, `"2026-01-02T03:04:05"`, `"2026-01-02T03:04:05.Z"`, `"2026-01-02 03:04:05Z"`, `"0001-01-01T00:00:00+01:00"`, `"2026-01-32T00:00:00Z"`, `"1969-12-31T23:59:59.5Z"`,
		`"0s"`, `"1s"`, `"-1s"`, `"+1s"`, `"1.5s"`, `".5s"`, `"1.s"`, `"-.5s"`, `"01s"`, `"1"`, `"s"`, `"-s"`, `"+.s"`, `".s"`, `"315576000000s"`, `"315576000001s"`, `"1.1234567890s"`,
		`"1.123456789s"`, `"-315576000000.999999999s"`, `"99999999999999999999s"`, `"1.5"`, `" 1s"`, `"00s"`, `"0.0s"`, `"-0.000000001s"`, `"a,b"`, `"fooBar,baz.quxQuux"`, `"a_b"`, `"a,"`, `" a "`, `""`, `"*"`,
		`"A"`, `"1a"`, `"a..b"`, `"_a"`, `"aB1"`, `1`, `null`, `{}`, `[]`, `"\u0031s"`,
	} {
		for _, f := range []string{"optionalTimestamp", "optionalDuration", "optionalFieldMask"} {
			docs = append(docs, `{"`+f+`":`+v+`}`)
		}
		docs = append(docs, v)
	}
	for _, v := range []string{
		`{}`, `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.5s"}`, `{"value":"1s","@type":"type.googleapis.com/google.protobuf.Duration"}`,
		`{"@type":"type.googleapis.com/google.protobuf.Duration"}`, `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s","value":"1s"}`,
		`{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s","x":1}`, `{"@type":"type.googleapis.com/google.protobuf.Empty"}`,
		`{"@type":"type.googleapis.com/google.protobuf.Empty","value":{}}`, `{"@type":"type.googleapis.com/google.protobuf.Empty","value":{"x":1}}`,
		`{"@type":"type.googleapis.com/google.protobuf.Empty","value":null}`, `{"@type":"type.googleapis.com/google.protobuf.Value","value":null}`,
		`{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.Int32Value","value":5}}`,
		`{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"a":[1,{"b":null}]}}`,
		`{"@type":"type.googleapis.com/protobuf_test_messages.proto3.TestAllTypesProto3","optionalInt32":1,"optionalString":"x","mapStringString":{"b":"1","a":"2"}}`,
		`{"optionalString":"x","optionalInt32":1,"@type":"x/protobuf_test_messages.proto3.TestAllTypesProto3","oneofUint32":0}`,
		`{"@type":"x/protobuf_test_messages.proto3.TestAllTypesProto3","nope":0}`, `{"@type":"x/protobuf_test_messages.proto3.TestAllTypesProto3","@type":"x"}`,
		`{"@type":"x/protobuf_test_messages.proto2.TestAllRequiredTypesProto2"}`, `{"@type":"x/nope"}`, `{"@type":""}`, `{"@type":1}`, `{"a":1}`, `{"\u0040type":"x/google.protobuf.Empty"}`,
		`{"@type":"protobuf_test_messages.proto3.TestAllTypesProto3","recursiveMessage":{"recursiveMessage":{"optionalInt32":1}}}`,
		`{"@type":"x/protobuf_test_messages.proto3.TestAllTypesProto3","repeatedNestedMessage":[[[[[[1]]]]]]}`,
		`{"@type":"x/protobuf_test_messages.proto2.TestAllTypesProto2.MessageSetCorrect"}`, `[]`, `null`, `{"@type":"x/google.protobuf.Empty"`, `{"@type":"x/google.protobuf.FieldMask","value":"a,b"}`,
	} {
		docs = append(docs, v, `{"optionalAny":`+v+`}`, `{"repeatedAny":[`+v+`,`+v+`]}`)
	}
	return docs
}

// Every document is tried on the three large messages, and the values by themselves on the well-known ones; of the rest each sixteenth.
func TestTakesWhatProtojsonTakes(t *testing.T) {
	docs := documents()
	for n, o := range everyOption() {
		for i, p := range pairs(o) {
			large, known := i < 3 && n < 4, i > 3 && i < 16
			for j, doc := range docs {
				if large && n != 1 && n != 2 || known && !strings.HasPrefix(doc, `{"`) || (i+j+n)%16 == 0 {
					p.decode(t, []byte(doc))
				}
			}
		}
	}
}

func TestDeepDocuments(t *testing.T) {
	for _, deep := range []int{3, 49, 50, 51} {
		for _, form := range [][2]string{
			{`{"recursiveMessage":`, `}`}, {`{"optionalStruct":{"a":`, `}}`}, {`{"optionalValue":[`, `]}`}, {`{"nope":[`, `]}`},
			{`{"optionalAny":{"@type":"x/google.protobuf.Any","value":`, `}}`},
		} {
			doc := strings.Repeat(form[0], deep) + "{}" + strings.Repeat(form[1], deep)
			inner := form[0] + strings.Repeat("[", deep) + strings.Repeat("]", deep) + form[1]
			for _, discard := range []bool{false, true} {
				for _, p := range pairs(Options{Depth: 50, DiscardUnknown: discard})[:6] {
					p.decode(t, []byte(doc))
					p.decode(t, []byte(inner))
				}
			}
		}
	}
}
